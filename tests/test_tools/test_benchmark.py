"""``tools/benchmark.py`` at small shapes: every figure is there, none is judged."""

import json
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mmspec
from mmspec.datasets.image_io import read_infrared

REPO = Path(__file__).resolve().parents[2]
PRETRAIN = REPO / "configs" / "pretrain"
INFMAE = PRETRAIN / "infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"
MSPECGENE = PRETRAIN / "mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"
STEP = ["loader", "preprocessor", "forward+backward", "optimiser", "step"]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "tools"))
    import benchmark

    return benchmark


@pytest.fixture
def run(benchmark, monkeypatch, tmp_path, capsys):
    """Runs a command on the CPU and gives its figures and what it printed."""

    def run(*arguments):
        common = ["--device", "cpu", "--rounds", "1", "--json", tmp_path / "figures.json"]
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *map(str, [*arguments, *common])])
        benchmark.main()
        return json.loads((tmp_path / "figures.json").read_text()), capsys.readouterr().out

    return run


def in_this_process(function, *args):
    return function(*args)


@pytest.mark.parametrize(
    ("command", "config", "rows", "size"),
    [
        ("pretrain", INFMAE, ["dense", "visible"], "pipeline.1.scale=64"),
        ("pretrain", INFMAE, ["visible", "one channel"], "pipeline.1.scale=64"),
        ("mspecgene", MSPECGENE, ["two passes", "one pass"], "pipeline.1.scale=64"),
    ],
)
def test_parts_of_a_training_step(run, benchmark, monkeypatch, command, config, rows, size):
    monkeypatch.setattr(benchmark, "apart", in_this_process)
    figures, text = run(command, "--config", config, "--only", *rows, "--batch-size", 2,
                        "--cfg-options", f"train_dataloader.dataset.{size}")  # fmt: skip
    assert list(figures["seconds"]) == list(figures["step_mib"]) == rows
    for seconds in figures["seconds"].values():
        assert list(seconds) == STEP and all(value > 0 for value in seconds.values())
        # Of one counted round the medians are the figures themselves.
        assert seconds["step"] == pytest.approx(sum(seconds[part] for part in STEP[:-1]))
    first, second = (figures["seconds"][row]["step"] for row in rows)
    cells = [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]]
    assert cells[0] == rows[1] and cells[7] == f"{first / second:.3g}"
    assert f"benchmark.py {command} --config" in text and "; batch 2; median of 1 rounds" in text


def test_one_row_with_workers_half_precision_and_no_decoder(run, benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "apart", in_this_process)
    figures, _ = run("pretrain", "--config", INFMAE, "--only", "visible", "--batch-size", 2,
                     "--workers", 1, "--dtype", "bfloat16", "--encoder-only")  # fmt: skip
    assert list(figures["seconds"]["visible"]) == STEP


def test_masking_both_ways(run):
    figures, text = run("cmss", "--batch-size", 3)
    seconds = figures["seconds"]
    assert list(seconds) == ["sequential", "batched"] and figures["step_mib"] == {}
    ratio = seconds["sequential"]["masking"] / seconds["batched"]["masking"]
    assert text.splitlines()[-1].endswith(f"| {ratio:.3g} |")


def test_dense_encoders_and_their_memory(run, benchmark):
    rows = list(benchmark.COMMANDS["backbone"].rows)
    figures, text = run("backbone", "--arch", "tiny", "--image-size", 250, 330, "--window-size", 4)
    assert list(figures["seconds"]) == list(figures["step_mib"]) == rows
    assert all(row["forward+backward"] > 0 for row in figures["seconds"].values())
    # Checkpointing keeps a small part of some 100 MiB of activations.
    assert figures["step_mib"]["global, cp"] < figures["step_mib"]["global"]
    assert [line.split("|")[1].strip() for line in text.splitlines()[-4:]] == rows
    assert "--image-size 250 330" in text


def test_loaders(run, benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "BATCHES", 2)
    figures, text = run("loader", "--config", INFMAE, "--batch-size", 2, "--workers", 0, 1)
    assert list(figures["seconds"]) == ["0 workers", "1 workers"]
    assert figures["seconds"]["0 workers"]["loader"] > 0
    assert "images/s, x 0 workers" in text


def test_readers_of_each_kind_of_file(run, benchmark, monkeypatch, tmp_path):
    pytest.importorskip("flyr")
    monkeypatch.setattr(benchmark, "BATCHES", 1)
    kinds = benchmark.KINDS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*undone: iron")
        figures, text = run("loader", "--files", "--batch-size", 2)
    assert list(figures["seconds"]) == list(kinds)
    assert all(seconds["reading"] > 0 for seconds in figures["seconds"].values())
    assert "images/s, x JPEG" in text
    levels = {}
    for kind in kinds:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*undone: iron")
            last = benchmark.write(kind, tmp_path)[-1]
            levels[kind] = read_infrared(last, percentiles=(0.5, 99.5))
    for kind, gray in levels.items():  # the same scene by whatever way
        assert gray.shape == (512, 640)
        assert np.corrcoef(gray.ravel(), levels["PNG, 16 bits"].ravel())[0, 1] > 0.98, kind
    image = mmspec.read_thermal(tmp_path / "FLIR_JPEG_Celsius" / "0.jpg")
    assert image.unit == "celsius" and 0 < image.values.min() < image.values.max() < 100


@pytest.fixture
def whole(benchmark, monkeypatch):
    """The report of a machine by one process, with few and small turns."""
    from analysis_tools import whole_machine

    monkeypatch.setattr(whole_machine, "_apart", lambda function, _, *args: function(*args))
    monkeypatch.setattr(whole_machine, "STEPS", 1)
    monkeypatch.setattr(whole_machine, "LOADED", 1)
    monkeypatch.setattr(whole_machine, "IMAGES", 8)
    monkeypatch.setattr(whole_machine, "SIDE", dict(cpu=64))
    small = dict(
        visible=[(1, "scale=64")],
        upernet=[(2, "scale=(64,64)"), (3, "crop_size=(64,64)")],
    )
    small["mask-rcnn"] = [(2, "scale=(96,64)"), (3, "crop_size=(96,64)")]
    for name, steps in small.items():
        row = whole_machine.ROWS[name]
        sizes = [f"train_dataloader.dataset.pipeline.{i}.{size}" for i, size in steps]
        row = replace(row, tiny_options=(*row.tiny_options, *sizes))
        monkeypatch.setitem(whole_machine.ROWS, name, row)
    return whole_machine


def report(benchmark, monkeypatch, tmp_path, *arguments):
    command = ["benchmark.py", "all", "--device", "cpu", "--out", tmp_path / "report.md"]
    monkeypatch.setattr(sys, "argv", list(map(str, [*command, *arguments])))
    benchmark.main()
    return (tmp_path / "report.md").read_text()


def test_one_report_of_a_machine(benchmark, whole, monkeypatch, tmp_path):
    rows = ["visible", "upernet", "mask-rcnn"]
    text = report(benchmark, monkeypatch, tmp_path, "--batch-size", 2, "--workers", 1,
                  "--only", *rows)  # fmt: skip
    assert "Skipped" not in text and "float32, tiny networks, 1 workers" in text
    cells = [[x.strip() for x in line.split("|")[1:-1]] for line in text.splitlines()]
    found = {row[0]: row for row in cells if row}
    for name in rows:
        _, batch, steps, ms, rate, waits, memory, flops, share = found[whole.ROWS[name].title]
        assert (batch, steps) == ("2", "1") and float(ms) > 0
        assert waits.endswith(" %") and share.endswith(" %")
        assert float(rate.split()[0]) == pytest.approx(2000 / float(ms), rel=0.01)
        assert float(flops) > 0 and float(memory) > 0
    assert float(found["0 workers"][1]) > 0 and float(found["1 workers"][1]) > 0


def test_what_the_minutes_do_not_hold_is_named(benchmark, whole, monkeypatch, tmp_path):
    text = report(benchmark, monkeypatch, tmp_path, "--minutes", 0.01, "--only", "mae", "compiled")
    assert "Skipped: loader: no time was left.\n\nSkipped: MAE (ViT): no time was left." in text
    assert "Skipped: InfMAE, compiled: no time was left." in text


@pytest.mark.parametrize(("capability", "dtype"), [((7, 0), "float16"), ((9, 0), "bfloat16")])
def test_a_gpu_that_emulates_bfloat16_is_measured_in_float16(whole, monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    args = SimpleNamespace(device="cuda", dtype=None, arch=None, batch_size=None, workers=None)
    whole.settle(args)
    assert args.dtype == dtype


def test_rows_that_fail_or_last_are_named(benchmark):
    from analysis_tools.whole_machine import _apart

    assert _apart(round, 60, 2.4) == 2
    assert _apart(int, 60, "x").startswith("ValueError: invalid literal")
    assert _apart(time.sleep, 1, 60) == "not done after 1 s, which was all that was left"


def test_what_a_gpu_has_no_memory_for_is_said(benchmark):
    memory = {"global": None, "windows": 2000.0}
    text = benchmark.table({"windows": {"all": 0.5, "step": 0.5}}, memory, 1, "images")
    assert text.splitlines()[2:] == [
        "| global | - | - | - | out of memory | - |",
        "| windows | 500 | 2 | - | 2000 | - |",
    ]


def test_ways_that_differ_are_not_timed(benchmark, monkeypatch):
    def step(loss):
        model = SimpleNamespace(eval=int, train=int, data_preprocessor=lambda *_: None)
        return SimpleNamespace(model=model, batches=iter([0]), loss=lambda _: torch.tensor(loss))

    benchmark.check_losses({"a": step(1.0), "b": step(1.0)}, None)
    with pytest.raises(RuntimeError, match="a and b give different losses"):
        benchmark.check_losses({"a": step(1.0), "b": step(1.1)}, None)

    others = torch.zeros(2, 19, dtype=torch.int64)
    monkeypatch.setattr(benchmark, "choose_by_sorting", lambda *_: (others, None))
    with pytest.raises(RuntimeError, match="a and b choose different patches"):
        benchmark.check_choice({"a": None, "b": None}, SimpleNamespace(batch_size=2, device="cpu"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backbone", "--image-size", 1, 2, 3], "unrecognized arguments: 3"),
        (["backbone", "--image-size", 1], "--image-size: expected 2 arguments"),
        (["pretrain", "--workers", 2], "name one row by --only"),
        (["loader", "--config", "no_such.py"], "no config file no_such.py"),
        (["loader", "--workers", 0, "--data", "no_such"], "no_such"),
        (["loader", "--files", "--data", "mine"], "--files are made up: without --data"),
        (
            ["pretrain", "--only", "dense", "--config",
             PRETRAIN / "infmae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"],
            "no mmspec.ConvViT to be 'dense': --only visible",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_named(run, benchmark, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(benchmark, "apart", in_this_process)
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err
