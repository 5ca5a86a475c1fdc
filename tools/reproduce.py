#!/usr/bin/env python
"""Train and test every cell of a table, and print it beside the paper's numbers.

    python tools/reproduce.py seg --budget cpu --dry-run    # what is to do, pre-trainings first
    python tools/reproduce.py seg --budget cpu              # minutes to hours on two cores
    python tools/reproduce.py seg --budget paper            # with the processes of each config
    python tools/reproduce.py seg --budget paper --gpus 1   # the same batch in more, smaller steps
    python tools/reproduce.py seg --budget paper --start infmae=InfMAE.pth    # published weights
    python tools/reproduce.py probe --budget cpu            # encoders judged as they are, frozen
    python tools/reproduce.py irstd --budget cpu --rows "U-Net, 16 channels, seed 0"

A training gets as many processes as make up the images a step that its learning rate is for
(``auto_scale_lr.base_batch_size``, else the ``4xb64`` of the config's name); what cannot be made up
is refused. What is done is not done again, what was cut off is resumed; a cell belongs to the
configuration it was trained with, so that a changed one is a new cell. Results go to
``OUT/TASK-BUDGET.md`` and ``.json``: ours with its spread over seeds, the paper's number, and the
commands and commit of each cell. A cell that was not run says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import runpy
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config

from mmspec.checkpoints import find_checkpoint
from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.checkpoints.work_dir import is_finished, saved_checkpoints
from mmspec.engine.launch import read_config
from mmspec.text_files import read_json

ROOT = Path(__file__).resolve().parents[1]
TABLES = Path(__file__).resolve().parent / "tables"


class Failed(Exception):
    """A training or a test ended with an error."""


class Refused(Exception):
    """What is asked for would not be the recipe of the config; the message names the way out."""


@dataclass
class Given:
    """Weights that are there, in place of a pre-training."""

    name: str
    weights: Path

    def pending(self) -> list[Training]:
        return []

    def commands(self) -> list[str]:
        return []


@dataclass
class Training:
    """A config with its overrides, trained into a folder of its own.

    Args:
        name: what the progress calls it.
        config: path in the repository.
        options: ``KEY=VALUE``; the weights to start from are added.
        checkpoint: name of the last one.
        folder: its name gets a fingerprint of the configuration.
        start: what ``encoder``, a key of the config, starts from.
        gpus: processes there may be; where the config is for more, gradients are accumulated.
    """

    name: str
    config: str
    options: list[str]
    checkpoint: str
    folder: Path
    start: Training | Given | None = None
    encoder: str = "model.backbone"
    gpus: int | None = None

    def __post_init__(self) -> None:
        if self.start is not None:
            where = f"{self.encoder}.init_cfg"
            self.options = [
                *self.options,
                f"{where}.type=mmspec.PretrainedEncoder",
                f"{where}.checkpoint={self.start.weights}",
            ]
        cfg = self._read()
        self.processes, self.accumulated = share(cfg, self.config, self.gpus)
        if self.accumulated > 1:
            count = self.accumulated * accumulation(cfg)
            self.options = [*self.options, f"optim_wrapper.accumulative_counts={count}"]
            cfg = self._read()
        # The fingerprint keeps results of different configurations apart.
        text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
        self.folder = marked(self.folder, text)

    def _read(self) -> Config:
        logging.disable(logging.INFO)  # a line for every variable of the environment in a config
        try:
            return read_config(str(ROOT / self.config), self.options)
        finally:
            logging.disable(logging.NOTSET)

    @property
    def weights(self) -> Path:
        return self.folder / self.checkpoint

    @property
    def command(self) -> list[str]:
        command = ["python", "tools/train.py", self.config]
        if self.processes > 1:
            command = ["bash", "tools/dist_train.sh", self.config, str(self.processes)]
        command += ["--work-dir", str(self.folder)]
        return [*command, "--cfg-options", *self.options] if self.options else command

    def commands(self) -> list[str]:
        """That of the training and, before it, of all it starts from."""
        return [*(self.start.commands() if self.start else []), " ".join(self.command)]

    def pending(self) -> list[Training]:
        """What is to be trained, in order."""
        if is_finished(self.folder) and self.weights.is_file():
            return []
        return [*(self.start.pending() if self.start else []), self]

    def run(self) -> None:
        resume = ["--resume"] if saved_checkpoints(self.folder) else []
        before, started = self.minutes, time.perf_counter()
        try:
            run([*self.command, *resume], self.folder / "log.txt")
        finally:
            minutes = before + (time.perf_counter() - started) / 60
            (self.folder / "minutes.json").write_text(json.dumps(minutes))

    @property
    def minutes(self) -> float:
        """That the training has taken, with all that it was resumed after but a killed program."""
        file = self.folder / "minutes.json"
        return read_json(file) if file.is_file() else 0.0


@dataclass
class Cell:
    """One row with one seed: what it starts from, its training, and what its test said.

    A row without a config has no training: something that is there is scored as it is. A row with a
    ``score`` has another test than tools/test.py: ``command``, in which ``{weights}`` stands for
    the checkpoint, ``{seed}`` for the seed, ``{folder}`` for the cell's folder and ``{metrics}``
    for the JSON file it is to write there, called ``file`` if not metrics.json; and ``read``, which
    makes metrics by name of what is in the file. ``test_options`` are overrides of the test alone.
    Rows that share a cell show different metrics of it: those whose names begin with ``of``.
    """

    table: int
    row: str
    seed: int
    start: Training | Given | None
    training: Training | None
    folder: Path
    score: dict | None = None
    test_options: Sequence[str] = ()
    of: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "result.json"

    @property
    def metrics(self) -> Path:
        return self.folder / (self.score or {}).get("file", "metrics.json")

    @property
    def command(self) -> list[str]:
        """The training, or the test where there is none."""
        return self.training.command if self.training else self.test

    @property
    def test(self) -> list[str]:
        trained = self.training or self.start
        weights = str(trained.weights) if trained else ""
        if self.score is not None:
            values = dict(weights=weights, seed=self.seed, folder=self.folder, metrics=self.metrics)
            return ["python", *(part.format(**values) for part in self.score["command"])]
        command = ["python", "tools/test.py", self.training.config, weights]
        command += ["--work-dir", str(self.folder / "test"), "--out", str(self.metrics)]
        # The test is that of the configuration that was trained.
        options = [*self.training.options, *self.test_options]
        return [*command, "--cfg-options", *options] if options else command

    def result(self) -> dict | None:
        return read_json(self.file) if self.file.is_file() else None

    def pending(self) -> list[Training]:
        """The trainings that are left, in order."""
        trained = self.training or self.start
        return trained.pending() if trained else []

    def run(self) -> dict:
        """Test what was trained."""
        run(self.test, self.folder / "log.txt")
        metrics = read_json(self.metrics)
        if self.score:
            metrics = self.score["read"](metrics)
        if self.training:
            metrics["minutes"] = self.training.minutes
        if isinstance(self.start, Training):
            metrics["minutes of pre-training"] = self.start.minutes
        # Of a probe: hundreds of megabytes, which a minute brings back.
        shutil.rmtree(self.folder / "features", ignore_errors=True)
        result = dict(
            metrics=metrics,
            command=" ".join(self.command),
            pretraining=self.start.commands() if self.start else [],
            commit=commit(),
        )
        self.file.write_text(json.dumps(result, indent=2) + "\n")
        return result


def share(cfg: Config, config: str, gpus: int | None) -> tuple[int, int]:
    """Processes of a training, and steps whose gradients each of them accumulates in their place.

    Their product with the batch of the config is the images a step that its learning rate is for.

    Raises:
        Refused: no number of processes makes them up.
    """
    named = re.search(r"_(\d+)xb(\d+)-", Path(config).name)
    scale = cfg.get("auto_scale_lr") or {}
    asked = scale.get("base_batch_size") or (named and int(named[1]) * int(named[2]))
    if not asked:
        return 1, 1
    batch = cfg.train_dataloader.batch_size
    if scale.get("enable"):  # the rate follows the batch, accumulated or not
        planned = int(named[1]) if named else 1
        return min(planned, gpus or planned), 1
    own = batch * accumulation(cfg)
    processes, rest = divmod(asked, own)
    if rest or not processes:
        raise Refused(
            f"{config}: its learning rate is for {asked} images a step, which no number of"
            f" processes of {own} makes up; set train_dataloader.batch_size or"
            " optim_wrapper.accumulative_counts, or auto_scale_lr.enable=True for a rate that"
            " follows the batch"
        )
    if gpus is None or gpus >= processes:
        return processes, 1
    if processes % gpus:
        raise Refused(
            f"--gpus {gpus}: {config} is for {processes} GPUs of {batch} images, which"
            f" {gpus} cannot share evenly"
        )
    return gpus, processes // gpus


def accumulation(cfg: Config) -> int:
    return cfg.optim_wrapper.get("accumulative_counts", 1)


def marked(folder: Path, content: str) -> Path:
    """The folder's name with a fingerprint of the content."""
    fingerprint = hashlib.sha256(content.encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-{fingerprint}")


def run(command: list[str], log: Path) -> None:
    """Run a command in the repository, its output into a file; the last lines on an error."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # dist_train.sh: this Python, and no machine beside this one, which would add processes.
    env = {**os.environ, "PYTHON": sys.executable, "NNODES": "1", "NODE_RANK": "0"}
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        status = subprocess.run(
            [sys.executable if command[0] == "python" else command[0], *command[1:]],
            cwd=ROOT,
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
        ).returncode
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


def plan(
    task: str,
    table: dict,
    budget: str,
    out: Path,
    gpus: int | None = None,
    given: Mapping[str, Path] = {},
) -> list[Cell]:
    """Every cell of a budget, seed by seed.

    Args:
        task: name of the table's file.
        table: what it defines.
        budget: which of its budgets.
        out: folder of the trainings.
        gpus: processes a training may have.
        given: weights that are there, by name of the pre-training in whose place they are taken.

    Raises:
        Refused: a training would not be its config's recipe, or weights are given for none.
    """
    starts: dict[tuple, Training | Given] = {}

    def start(name: str | None, seed: int | None) -> Training | Given | None:
        """Shared by all tasks, and itself started from another where it says so."""
        if name is not None and (name, seed) not in starts:
            if name in given:
                starts[name, seed] = Given(name, given[name])
            else:
                entry = dict(table["PRETRAIN"][name])
                entry["start"] = start(entry.get("start"), seed)
                if seed is not None:
                    entry["options"] = [*entry["options"], f"randomness.seed={seed}"]
                starts[name, seed] = Training(name, **entry, folder=out / name, gpus=gpus)
        return starts.get((name, seed))

    cells = []
    chosen = table["BUDGETS"][budget]
    for seed in chosen["seeds"]:
        for number, part in enumerate(chosen["tables"]):
            for row in part["rows"]:
                # Where nothing is random, a row has fewer.
                if seed not in row.get("seeds", chosen["seeds"]):
                    continue
                # A row may be that of another table, and then shares its training and test.
                home, *names = row.get("cell", (task, part["name"], row["name"]))
                folder = out / home / _file_name(" ".join(names)) / f"seed{seed}"
                # One pre-training serves all seeds, or each has its own.
                own_seed = seed if row.get("seeded") else None
                begin, score = start(row["pretrain"], own_seed), row.get("score")
                if row["config"] is None:
                    training = None
                    # A training's folder is marked by its settings, a given file is itself.
                    given_file = isinstance(begin, Given)
                    weights = begin and (begin.weights if given_file else begin.weights.parent)
                    content = " ".join(score["command"]) + str(weights)
                    folder = marked(folder, content)
                else:
                    training = Training(
                        row["name"],
                        row["config"],
                        [*row["options"], f"randomness.seed={seed}"],
                        row["checkpoint"],
                        folder,
                        begin,
                        row.get("encoder", "model.backbone"),
                        gpus,
                    )
                    folder = training.folder
                options, of = row.get("test_options", ()), row.get("of", "")
                cells.append(
                    Cell(number, row["name"], seed, begin, training, folder, score, options, of)
                )
    begun = {name for name, _ in starts}
    for name in given:
        if name not in begun:
            known = ", ".join(sorted(begun)) or "nothing"
            raise Refused(f"--start {name}: this table starts from {known}")
    return cells


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())


def write_tables(path: Path, budget: dict, cells: list[Cell]) -> list[str]:
    """Markdown and JSON of what is known; returns the Markdown of each table."""
    texts, content = [], []
    for number, part in enumerate(budget["tables"]):
        metrics = part["metrics"]
        lines = [part["title"], "", f"| {' | '.join(['row', 'seeds', *metrics.values()])} |"]
        lines.append("|---|---:|" + "---:|" * len(metrics))
        rows = []
        for row in part["rows"]:
            mine = [cell for cell in cells if (cell.table, cell.row) == (number, row["name"])]
            results = {cell.seed: cell.result() for cell in mine}
            known = [result["metrics"] for result in results.values() if result]
            seeds = f"{len(known)}/{len(mine)}" if known else "not run"
            shown = [
                _cell_text(_values(known, row.get("of", "") + metric), row["paper"].get(metric))
                for metric in metrics
            ]
            lines.append(f"| {' | '.join([row['name'], seeds, *shown])} |")
            rows.append(dict(name=row["name"], paper=row["paper"], seeds=results))
        lines.append("")
        notes = [*part.get("notes", []), *_notes([c for c in cells if c.table == number])]
        lines += [line for note in notes for line in (note, "")]
        texts.append("\n".join(lines))
        content.append(dict(title=part["title"], rows=rows, notes=notes))
    path.with_suffix(".md").write_text("\n".join(texts))
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n")
    return texts


def _notes(cells: list[Cell]) -> list[str]:
    """What a table has to say of the pre-trainings behind it."""
    seeds: dict[tuple[str, Path], set[int]] = {}
    behind: dict[str, Training | Given] = {}
    for cell in cells:
        trained = cell.training or cell.start
        while trained is not None:
            behind[trained.name] = trained
            trained = getattr(trained, "start", None)
        if cell.start is not None:
            seeds.setdefault((cell.start.name, cell.start.weights), set()).add(cell.seed)
    notes = []
    shared = [name for (name, _), served in seeds.items() if len(served) > 1]
    if shared:
        notes.append(
            f"One pre-training serves all seeds ({', '.join(shared)}): the spread is that of what"
            " follows it."
        )
    for name, trained in behind.items():
        if isinstance(trained, Given):
            notes.append(f"{name}: the weights of {trained.weights}, not trained here.")
            continue
        if trained.start is not None and name in {first for first, _ in seeds}:
            notes.append(f"{name} starts from {trained.start.name}.")
        if trained.accumulated > 1:
            notes.append(
                f"{name}: gradients of {trained.accumulated} steps accumulated, on"
                f" {trained.processes} GPUs in place of {trained.processes * trained.accumulated}."
            )
    return notes


def _values(known: list[dict], metric: str) -> list[float | None]:
    """By seed; none where no seed's test has such a metric."""
    if not any(metric in found for found in known):
        return []
    return [found.get(metric) for found in known]


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
    parser.add_argument(
        "--rows",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="only those with one of these in 'TABLE, ROW, seed N'",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is to do, run nothing")
    parser.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="use N processes where a config is for more, and accumulate gradients instead",
    )
    parser.add_argument(
        "--start",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="take these weights (a file or a shipped encoder) for those of the pre-training NAME",
    )
    args = parser.parse_args()
    if args.gpus is not None and args.gpus < 1:
        parser.error("--gpus must be at least 1")
    given, args.start = args.start, {}
    for start in given:
        name, _, file = start.partition("=")
        try:
            args.start[name] = find_checkpoint(file).absolute()
        except (FileNotFoundError, CheckpointError) as error:
            parser.error(f"--start {start}: give NAME=FILE; {error}")
    return args


def main() -> None:
    args = parse_args()
    table = read_table(args.task)
    if args.budget not in table["BUDGETS"]:
        sys.exit(f"error: {args.task} has the budgets {', '.join(table['BUDGETS'])}")
    budget = table["BUDGETS"][args.budget]
    out = args.out.absolute()
    try:
        cells = plan(args.task, table, args.budget, out / args.budget, args.gpus, args.start)
    except Refused as refused:
        sys.exit(f"error: {refused}")
    out.mkdir(parents=True, exist_ok=True)
    named = [
        (f"{budget['tables'][cell.table]['name']}, {cell.row}, seed {cell.seed}", cell)
        for cell in cells
    ]
    for text in args.rows:
        if not any(text in name for name, _ in named):
            some = "; ".join(name for name, _ in named[:: max(1, len(named) // 5)])
            sys.exit(f"error: --rows {text}: in no row's name, such as {some}")
    asked = [(name, cell) for name, cell in named if any(t in name for t in args.rows or [""])]
    # Tables may share a cell.
    todo: dict[Path, tuple[str, Cell]] = {}
    for name, cell in asked:
        if cell.result() is None:
            todo.setdefault(cell.folder, (name, cell))
    report = out / f"{args.task}-{args.budget}"
    if args.dry_run:
        show(list(todo.values()))
        failures = []
    else:
        failures = work(list(todo.values()), budget, cells, report)
    tables = write_tables(report, budget, cells)
    for number in sorted({cell.table for _, cell in asked}):
        print("\n" + tables[number])
    if failures:
        sys.exit("\n".join(failures))


def show(todo: list[tuple[str, Cell]]) -> None:
    """Print the commands that are to run: pre-trainings, then fine-tunings or bare tests."""
    first = {t.folder: t for _, cell in todo for t in cell.pending() if t is not cell.training}
    for number, training in enumerate(first.values(), 1):
        print(f"[pre-training {number}/{len(first)}] {training.name} ...", *training.command)
    for number, (name, cell) in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {name} ...", *cell.command)


def work(todo: list[tuple[str, Cell]], budget: dict, cells: list[Cell], report: Path) -> list[str]:
    """Train and test; return what failed."""
    for _, cell in todo:
        for training in cell.pending():
            refuse_without_gpus(training)
    failures = []
    for number, (name, cell) in enumerate(todo, 1):
        started = time.perf_counter()
        try:
            for training in cell.pending():
                if training is not cell.training:
                    print(f"[pre-training] {training.name} ... ", end="", flush=True)
                    training.run()
                    print(f"done ({time.perf_counter() - started:.0f} s)")
            print(f"[{number}/{len(todo)}] {name} ... ", end="", flush=True)
            if cell.training is not None and cell.training.pending():
                cell.training.run()
            result = cell.run()
        except Failed as error:
            failures.append(f"{name}: {error}")
            print("FAILED")
            continue
        metric = next(iter(budget["tables"][cell.table]["metrics"]))
        seconds = time.perf_counter() - started
        value = _cell_text(_values([result["metrics"]], cell.of + metric), None)
        print(f"{cell.of}{metric} {value} ({seconds:.0f} s)")
        write_tables(report, budget, cells)
    return failures


def refuse_without_gpus(training: Training) -> None:
    """Ends the program where a training is for more GPUs than there are; CPUs take any number."""
    there = torch.cuda.device_count()
    if 0 < there < training.processes:
        sys.exit(
            f"error: {training.config} is for {training.processes} GPUs and this machine has"
            f" {there}: --gpus {there} accumulates gradients over more steps of the same batch"
        )


if __name__ == "__main__":
    main()
