import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/benchmark_backbone.py"
ENCODERS = ["global", "windows", "global, cp", "windows, cp"]


def test_every_figure_is_measured(tmp_path):
    command = [sys.executable, str(TOOL), "--arch", "tiny", "--image-size", "250", "330",
               "--rounds", "1", "--warmup", "0", "--window-size", "4", "--device", "cpu",
               "--json", str(tmp_path / "f.json")]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    assert list(figures["images_per_s"]) == list(figures["step_mib"]) == ENCODERS
    assert all(value > 0 for value in figures["images_per_s"].values())
    # Checkpointing keeps a small part of some 100 MiB of activations.
    assert figures["step_mib"]["global, cp"] < figures["step_mib"]["global"]
    assert "250x330 px" in result.stdout
    lines = result.stdout.splitlines()[-4:]
    assert [line[:14].strip() for line in lines] == ENCODERS


def test_what_a_gpu_has_no_memory_for_is_said(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    from benchmark_backbone import table

    memory = {"global": None, "windows": 2000.0}
    assert table(memory, {"windows": 1.5})[1:] == [
        "global          out of memory",
        "windows           1.500         -     2000         -",
    ]


def test_a_wrong_size_is_named():
    command = [sys.executable, str(TOOL), "--image-size", "1", "2", "3"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "--image-size takes a height and a width" in result.stderr
