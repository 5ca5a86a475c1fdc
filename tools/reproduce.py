#!/usr/bin/env python
"""Train and test every cell of a table, and print it beside the paper's numbers.

    python tools/reproduce.py seg --budget cpu --dry-run    # what there is to do
    python tools/reproduce.py seg --budget cpu              # minutes to hours on two cores

What is done is not done again, what was cut off is resumed; a cell belongs to the configuration it
was trained with, so that a changed one is a new cell. Results go to ``OUT/TASK-BUDGET.md`` and
``.json``: ours with its spread over seeds, the paper's number, and the command and commit of each
cell. A cell that was not run says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import runpy
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mmspec.checkpoints.work_dir import is_finished, saved_checkpoints
from mmspec.launch import read_config

ROOT = Path(__file__).resolve().parents[1]
TABLES = Path(__file__).resolve().parent / "tables"


class Failed(Exception):
    """A training or a test ended with an error."""


@dataclass
class Training:
    """A config with its overrides, trained into a folder of its own."""

    config: str
    options: list[str]
    checkpoint: str
    folder: Path

    def __post_init__(self) -> None:
        # The fingerprint keeps results of different configurations apart.
        logging.disable(logging.INFO)  # a line for every variable of the environment in a config
        cfg = read_config(str(ROOT / self.config), self.options)
        logging.disable(logging.NOTSET)
        text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
        self.folder = marked(self.folder, text)

    @property
    def weights(self) -> Path:
        return self.folder / self.checkpoint

    @property
    def command(self) -> list[str]:
        command = ["tools/train.py", self.config, "--work-dir", str(self.folder)]
        return [*command, "--cfg-options", *self.options] if self.options else command

    def run(self) -> None:
        if is_finished(self.folder) and self.weights.is_file():
            return
        resume = ["--resume"] if saved_checkpoints(self.folder) else []
        run([sys.executable, *self.command, *resume], self.folder / "log.txt")


@dataclass
class Cell:
    """One row with one seed: what it starts from, its training, and what its test said.

    A row without a config has no training: something that is there is scored as it is. A row with a
    ``score`` has another test than tools/test.py: ``command``, in which ``{weights}`` stands for
    the checkpoint, ``{seed}`` for the seed and ``{metrics}`` for the JSON file it is to write, and
    ``read``, which makes metrics by name of what is in the file.
    """

    table: int
    row: str
    seed: int
    start: Training | None
    training: Training | None
    folder: Path
    score: dict | None = None

    @property
    def file(self) -> Path:
        return self.folder / "result.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def command(self) -> list[str]:
        """The training, or the test where there is none."""
        return self.training.command if self.training else self.test

    @property
    def test(self) -> list[str]:
        trained = self.training or self.start
        weights = str(trained.weights) if trained else ""
        if self.score is not None:
            values = dict(weights=weights, seed=self.seed, metrics=self.metrics)
            return [part.format(**values) for part in self.score["command"]]
        command = ["tools/test.py", self.training.config, weights]
        command += ["--work-dir", str(self.folder / "test"), "--out", str(self.metrics)]
        # The test is that of the configuration that was trained.
        options = self.training.options
        return [*command, "--cfg-options", *options] if options else command

    def result(self) -> dict | None:
        return json.loads(self.file.read_text()) if self.file.is_file() else None

    def run(self) -> dict:
        for training in (self.start, self.training):
            if training is not None:
                training.run()
        run([sys.executable, *self.test], self.folder / "log.txt")
        found = json.loads(self.metrics.read_text())
        result = dict(
            metrics=self.score["read"](found) if self.score else found,
            command=" ".join(["python", *self.command]),
            commit=commit(),
        )
        self.file.write_text(json.dumps(result, indent=2) + "\n")
        return result


def marked(folder: Path, content: str) -> Path:
    """The folder's name with a fingerprint of the content."""
    fingerprint = hashlib.sha256(content.encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-{fingerprint}")


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


def tasks() -> list[str]:
    return sorted(path.stem for path in TABLES.glob("[!_]*.py"))


def read_table(task: str) -> dict:
    """The names that a file of ``tables`` defines: ``PRETRAIN`` and ``BUDGETS``."""
    if str(TABLES) not in sys.path:
        sys.path.insert(0, str(TABLES))  # for what the tables share
    return runpy.run_path(str(TABLES / f"{task}.py"))


def plan(task: str, table: dict, budget: str, out: Path) -> list[Cell]:
    """Every cell of a budget, seed by seed."""
    starts: dict[str, Training] = {}
    cells = []
    chosen = table["BUDGETS"][budget]
    for seed in chosen["seeds"]:
        for number, part in enumerate(chosen["tables"]):
            for row in part["rows"]:
                # Where nothing is random, a row has fewer.
                if seed not in row.get("seeds", chosen["seeds"]):
                    continue
                options = [*row["options"], f"randomness.seed={seed}"]
                start = row["pretrain"]
                if start is not None:
                    if start not in starts:
                        # Shared by all tasks.
                        starts[start] = Training(**table["PRETRAIN"][start], folder=out / start)
                    start = starts[start]
                    encoder = row.get("encoder", "model.backbone")
                    options.append(f"{encoder}.init_cfg.checkpoint={start.weights}")
                folder = out / task / _file_name(f"{part['name']} {row['name']}") / f"seed{seed}"
                score = row.get("score")
                if row["config"] is None:
                    training = None
                    folder = marked(
                        folder, " ".join(score["command"]) + str(start and start.folder)
                    )
                else:
                    training = Training(row["config"], options, row["checkpoint"], folder)
                    folder = training.folder
                cells.append(Cell(number, row["name"], seed, start, training, folder, score))
    return cells


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def write_tables(path: Path, budget: dict, cells: list[Cell]) -> str:
    """Markdown and JSON of what is known; returns the Markdown."""
    lines, content = [], []
    for number, part in enumerate(budget["tables"]):
        metrics = part["metrics"]
        lines += [part["title"], "", f"| {' | '.join(['row', 'seeds', *metrics.values()])} |"]
        lines.append("|---|---:|" + "---:|" * len(metrics))
        rows = []
        for row in part["rows"]:
            mine = [cell for cell in cells if (cell.table, cell.row) == (number, row["name"])]
            results = {cell.seed: cell.result() for cell in mine}
            known = [result["metrics"] for result in results.values() if result]
            seeds = f"{len(known)}/{len(mine)}" if known else "not run"
            shown = [
                _cell_text([found[metric] for found in known], row["paper"].get(metric))
                for metric in metrics
            ]
            lines.append(f"| {' | '.join([row['name'], seeds, *shown])} |")
            rows.append(dict(name=row["name"], paper=row["paper"], seeds=results))
        lines.append("")
        content.append(dict(title=part["title"], rows=rows))
    text = "\n".join(lines)
    path.with_suffix(".md").write_text(text)
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n")
    return text


def _cell_text(values: list[float | None], paper: float | None) -> str:
    """Mean and standard deviation over seeds, and the paper's number in brackets."""
    text = "-"
    if None in values:
        text = "undefined"
    elif values:
        # An area under a curve, from 0 to 1, needs the digits of a percentage.
        digits = 2 if max(map(abs, values)) > 1 else 4
        text = f"{statistics.mean(values):.{digits}f}"
        if len(values) > 1:
            text += f" ± {statistics.stdev(values):.{digits}f}"
    return text if paper is None else f"{text} ({paper})"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=tasks())
    parser.add_argument("--budget", choices=["cpu", "gpu", "paper"], required=True)
    parser.add_argument("--out", type=Path, default=Path("work_dirs/reproduce"))
    parser.add_argument("--rows", default="", help="only those with this in 'TABLE, ROW'")
    parser.add_argument("--dry-run", action="store_true", help="say what is to do, run nothing")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    table = read_table(args.task)
    budget = table["BUDGETS"][args.budget]
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    cells = plan(args.task, table, args.budget, out / args.budget)
    names = [f"{budget['tables'][cell.table]['name']}, {cell.row}" for cell in cells]
    todo = [
        (name, cell)
        for name, cell in zip(names, cells)
        if args.rows in name and cell.result() is None
    ]
    report = out / f"{args.task}-{args.budget}"
    failures = []
    for number, (name, cell) in enumerate(todo, 1):
        name = f"{name}, seed {cell.seed}"
        print(f"[{number}/{len(todo)}] {name} ... ", end="", flush=True)
        if args.dry_run:
            print("python", *cell.command)
            continue
        started = time.perf_counter()
        try:
            result = cell.run()
        except Failed as error:
            failures.append(f"{name}: {error}")
            print("FAILED")
            continue
        metric = next(iter(budget["tables"][cell.table]["metrics"]))
        seconds = time.perf_counter() - started
        print(f"{metric} {_cell_text([result['metrics'][metric]], None)} ({seconds:.0f} s)")
        write_tables(report, budget, cells)
    print("\n" + write_tables(report, budget, cells))
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
