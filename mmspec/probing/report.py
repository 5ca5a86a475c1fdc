"""What probes found, as tables, with a verdict on each comparison, and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmspec.evaluation.table import markdown_table

from .scores import mean_and_spread, paired_difference


def save_report(records: Sequence[dict], folder: Path, command: str) -> str:
    """Write ``table.md`` and ``results.json``; return the table.

    Args:
        records: of :func:`~mmspec.probing.probe`, of one encoder or several on the same images; the
            first is compared with each of the others.
        folder: is made where it is absent.
        command: goes into both.
    """
    text = "\n\n".join(filter(None, [f"`{command}`", _table(records), _differences(records)]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text + "\n")
    numbers = [
        {key: value for key, value in record.items() if key != "counts"} for record in records
    ]
    (folder / "results.json").write_text(
        json.dumps(dict(command=command, results=numbers), indent=1)
    )
    return text


def _table(records: Sequence[dict]) -> str:
    rows: dict[tuple[str, str], dict] = {}
    columns: dict[tuple, str] = {}
    several = len({record["share"] for record in records}) > 1
    for record in records:
        share = f", {record['share']:.0%} of the images" if several else ""
        title = f"{record['judge']}{share}{', no positions' if record['rolled'] else ''}"
        cells = rows.setdefault((record["encoder"], record["map"]), {})
        shown = record.get("shown", [record["score"]])
        for number, name in enumerate(shown):
            key = (record["judge"], record["share"], record["rolled"], number)
            columns[key] = title if len(shown) == 1 else f"{title}: {name}"
            cells.setdefault(key, []).append(record[name])
    return markdown_table(
        [
            {"encoder": encoder, "map": name}
            | {title: _cell(cells.get(key)) for key, title in sorted(columns.items(), key=str)}
            for (encoder, name), cells in rows.items()
        ]
    )


def _cell(values: list[float] | None) -> str:
    if not values:
        return "-"
    mean, spread = mean_and_spread(values)
    return f"{mean:.1f}" if np.isnan(spread) else f"{mean:.1f} ± {spread:.1f}"


def _differences(records: Sequence[dict]) -> str:
    """The first encoder against the others, map by map, or by all they have where maps differ."""
    found: dict[tuple, np.ndarray] = {}
    share, score = max(record["share"] for record in records), records[0]["score"]
    for record in records:
        if record["share"] == share and not record["rolled"]:
            key = record["judge"], record["encoder"], record["map"]
            found[key] = found.get(key, 0) + record["counts"]
    first, *others = dict.fromkeys(record["encoder"] for record in records)
    rows = []
    for judge in dict.fromkeys(key[0] for key in found):
        for other in others:
            ours, theirs = (
                [key[2] for key in found if key[:2] == (judge, encoder)]
                for encoder in (first, other)
            )
            shared = [(name, name) for name in ours if name in theirs]
            for one, two in shared or [(ours[-1], theirs[-1])]:
                value, low, high = paired_difference(
                    found[judge, first, one], found[judge, other, two], score
                )
                verdict = "helps" if low > 0 else "hurts" if high < 0 else "does not show"
                rows.append(
                    {
                        "judge": judge,
                        f"{first} against": other,
                        "map": one if one == two else f"{one}, {two}",
                        score: f"{value:+.1f}",
                        "95 %": f"{low:+.1f} to {high:+.1f}",
                        "on these images": verdict,
                    }
                )
    return markdown_table(rows) if rows else ""
