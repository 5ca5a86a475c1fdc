"""Rows of the papers' tables in the log."""

import math
from collections.abc import Mapping, Sequence

from mmengine.logging import print_log


def log_table(*rows: Mapping[str, str | float], digits: int = 1) -> None:
    """Write a :func:`markdown_table` into the log."""
    print_log("\n" + markdown_table(rows, digits), logger="current")


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
