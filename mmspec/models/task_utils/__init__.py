"""What heads of mmdet ask for."""

from .assigner import IgnoringAssigner

__all__ = ["IgnoringAssigner"]
