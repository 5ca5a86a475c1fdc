import json
import runpy
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/benchmark_cmss.py"


def test_it_compares_both_ways_on_a_small_batch(tmp_path, monkeypatch, capsys):
    options = {
        "--batch-size": 3, "--num-patches": 40, "--channels": 8, "--rounds": 2, "--device": "cpu",
        "--json": tmp_path / "x.json",
    }  # fmt: skip
    arguments = [str(x) for option in options.items() for x in option]
    monkeypatch.setattr(sys, "argv", [str(TOOL), *arguments])
    monkeypatch.syspath_prepend(str(TOOL.parent))
    runpy.run_path(str(TOOL), run_name="__main__")
    figures = json.loads((tmp_path / "x.json").read_text())
    parts = {"copies", "metric", "mixture", "targets", "choice", "step", "no copies"}
    assert set(figures["seconds"]) == {"sequential", "batched"}
    assert all(set(times) == parts for times in figures["seconds"].values())
    slow, fast = (figures["seconds"][way]["step"] for way in ("sequential", "batched"))
    assert figures["ratios"]["step"] == slow / fast
    assert "3 pairs, 40 patches, 8 channels" in capsys.readouterr().out
