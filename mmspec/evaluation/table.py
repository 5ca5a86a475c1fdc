"""Rows of the papers' tables in the log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def markdown_row(row: dict[str, float]) -> str:
    """Column names and values as a Markdown table of one row; a NaN is shown as ``-``."""
    return markdown_table([row])


def markdown_table(rows: Sequence[Mapping[str, str | float]], digits: int = 1) -> str:
    """Rows of the same columns as a Markdown table.

    Args:
        rows: at least one; text stays as it is, a NaN is shown as ``-``.
        digits: of the numbers behind the point.
    """
    columns = list(rows[0])
    lines = [columns, ["---:"] * len(columns)]
    lines += [[_cell(value, digits) for value in row.values()] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: str | float, digits: int) -> str:
    if isinstance(value, str):
        return value
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
