"""Rows of the papers' tables in the log."""

from __future__ import annotations

import math


def markdown_row(row: dict[str, float]) -> str:
    """Column names and values as a Markdown table of one row; a NaN is shown as ``-``."""
    cells = ["-" if math.isnan(value) else f"{value:.1f}" for value in row.values()]
    lines = [list(row), ["---:"] * len(row), cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
