"""Encoders, decoders, heads and algorithms. The registry imports the sub-packages by name."""
