#!/usr/bin/env python
"""Train and test every cell of a table, and print it beside the paper's numbers.

    python tools/reproduce.py seg --budget cpu        # minutes to hours on two cores
    python tools/reproduce.py seg --budget cpu --dry-run

What is done is not done again, what was cut off is resumed. Results go to
``OUT/TASK-BUDGET.md`` and ``.json``: the paper's number, ours with its spread over seeds, and the
command and commit of each cell. A cell that was not run says so.
"""

from __future__ import annotations

import argparse
import json
import runpy
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = Path(__file__).resolve().parent / "tables"


class Failed(Exception):
    """A training or a test ended with an error."""


def run(command: list[str], log: Path) -> None:
    """Runs a command in the repository, its output into a file; the last lines on an error."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        status = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT).returncode
    if status:
        tail = "".join(log.read_text(errors="replace").splitlines(True)[-8:])
        raise Failed(f"exit status {status}; the end of {log}:\n{tail}")


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return result.stdout.strip() or "unknown"


def train_command(config: str, work_dir: Path, options: list[str]) -> list[str]:
    command = [sys.executable, "tools/train.py", config, "--work-dir", str(work_dir), "--resume"]
    return [*command, "--cfg-options", *options] if options else command


def pretrain(entry: dict, work_dir: Path) -> Path:
    """The checkpoint of a pre-training, trained if it is not there."""
    checkpoint = work_dir / entry["checkpoint"]
    if not checkpoint.is_file():
        run(train_command(entry["config"], work_dir, entry["options"]), work_dir / "log.txt")
    return checkpoint


def cell(row: dict, seed: int, start: Path | None, work_dir: Path) -> dict:
    """Trains and tests one row with one seed; a finished one is read from its file."""
    result = work_dir / "result.json"
    if result.is_file():
        return json.loads(result.read_text())
    options = [*row["options"], f"randomness.seed={seed}"]
    if start is not None:
        options.append(f"model.backbone.init_cfg.checkpoint={start}")
    checkpoint = work_dir / row["checkpoint"]
    command = train_command(row["config"], work_dir, options)
    if not checkpoint.is_file():
        run(command, work_dir / "log.txt")
    metrics = work_dir / "metrics.json"
    test = [sys.executable, "tools/test.py", row["config"], str(checkpoint), "--work-dir",
            str(work_dir / "test"), "--out", str(metrics)]  # fmt: skip
    run(test, work_dir / "log.txt")
    entry = dict(
        metrics=json.loads(metrics.read_text()),
        command=" ".join(["python", *command[1:]]),
        commit=commit(),
    )
    result.write_text(json.dumps(entry, indent=2) + "\n")
    return entry


def value_of(entry: dict | None, metric: str) -> float | None:
    return None if entry is None else entry["metrics"][metric]


def write_table(path: Path, table: dict, budget: dict, cells: dict) -> str:
    """Markdown and JSON of what is known; returns the Markdown."""
    seeds = budget["seeds"]
    head = ["row", "paper", "ours", *(f"seed {seed}" for seed in seeds)]
    lines = [table["TITLE"], "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    rows = []
    for row in budget["rows"]:
        entries = [cells.get((row["name"], seed)) for seed in seeds]
        values = [value_of(entry, table["METRIC"]) for entry in entries]
        known = [value for value in values if value is not None]
        ours = "not run"
        if known:
            spread = f" ± {statistics.stdev(known):.2f}" if len(known) > 1 else ""
            ours = f"{statistics.mean(known):.2f}{spread} (n={len(known)})"
        shown = ["not run" if value is None else f"{value:.2f}" for value in values]
        paper = "-" if row["paper"] is None else str(row["paper"])
        lines.append(f"| {' | '.join([row['name'], paper, ours, *shown])} |")
        rows.append(
            dict(name=row["name"], paper=row["paper"], cells=dict(zip(map(str, seeds), entries)))
        )
    text = "\n".join(lines) + "\n"
    path.with_suffix(".md").write_text(text)
    content = dict(title=table["TITLE"], metric=table["METRIC"], rows=rows)
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n")
    return text


def parse_args() -> argparse.Namespace:
    tasks = sorted(path.stem for path in TABLES.glob("*.py"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=tasks)
    parser.add_argument("--budget", choices=["cpu", "gpu", "paper"], required=True)
    parser.add_argument("--out", type=Path, default=Path("work_dirs/reproduce"))
    parser.add_argument("--rows", help="only rows whose name contains this")
    parser.add_argument("--dry-run", action="store_true", help="print the table, run nothing")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    table = runpy.run_path(str(TABLES / f"{args.task}.py"))
    budget = table["BUDGETS"][args.budget]
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    cells: dict[tuple[str, int], dict] = {}
    todo = [
        (row, seed)
        for seed in budget["seeds"]
        for row in budget["rows"]
        if not args.rows or args.rows in row["name"]
    ]
    failures = []
    for number, (row, seed) in enumerate(todo, 1):
        work_dir = out / args.budget / args.task / row["name"].replace(", ", "_").replace(" ", "-")
        work_dir = work_dir / f"seed{seed}"
        if args.dry_run and not (work_dir / "result.json").is_file():
            continue
        started = time.perf_counter()
        print(f"[{number}/{len(todo)}] {row['name']}, seed {seed} ... ", end="", flush=True)
        try:
            start = None
            if row["pretrain"] is not None:
                start = out / args.budget / row["pretrain"]
                start = pretrain(table["PRETRAIN"][row["pretrain"]], start)
            cells[row["name"], seed] = cell(row, seed, start, work_dir)
        except Failed as error:
            failures.append(f"{row['name']}, seed {seed}: {error}")
            print("FAILED")
            continue
        value = value_of(cells[row["name"], seed], table["METRIC"])
        print(f"{value:.2f} ({time.perf_counter() - started:.0f} s)")
        write_table(out / f"{args.task}-{args.budget}", table, budget, cells)
    print("\n" + write_table(out / f"{args.task}-{args.budget}", table, budget, cells))
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
