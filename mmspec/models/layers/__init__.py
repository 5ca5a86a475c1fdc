"""Building blocks that several models share; nothing here is registered."""
