import json
import runpy
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TOOL = REPO / "tools/analysis_tools/benchmark_mspecgene.py"
CONFIG = "mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"


def test_both_ways_of_a_small_step(tmp_path, monkeypatch, capsys):
    options = {
        "--config": REPO / "configs" / "pretrain" / CONFIG, "--batch-size": 2, "--rounds": 2,
        "--warmup": 0, "--image-size": 64, "--device": "cpu", "--json": tmp_path / "x.json",
    }  # fmt: skip
    arguments = [str(x) for option in options.items() for x in option]
    monkeypatch.setattr(sys, "argv", [str(TOOL), *arguments])
    monkeypatch.syspath_prepend(str(TOOL.parent))
    tool = runpy.run_path(str(TOOL))
    tool["main"]()
    figures = json.loads((tmp_path / "x.json").read_text())
    seconds = figures["seconds"]
    assert set(seconds) == {
        "encoder, one pass", "encoder, two passes", "step, one pass", "step, two passes", "masking",
    }  # fmt: skip
    for part, ratio in figures["ratios"].items():
        assert ratio == seconds[f"{part}, two passes"] / seconds[f"{part}, one pass"]
    assert figures["masking_share"] == seconds["masking"] / seconds["step, one pass"]
    assert "2 pairs, 64 px, float32; median of 2 rounds" in capsys.readouterr().out


def test_ways_that_differ_are_not_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    tool = runpy.run_path(str(TOOL))
    values = iter([1.0, 1.1])

    class Model:
        def eval(self):
            return self

    check = tool["check_equal"]
    torch = tool["torch"]
    monkeypatch.setitem(check.__globals__, "losses", lambda *_: torch.tensor(next(values)))
    with pytest.raises(RuntimeError, match="different losses"):
        check(Model(), torch.zeros(2))
