import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/benchmark_pretrain.py"


def test_every_figure_is_measured(tmp_path):
    command = [sys.executable, str(TOOL), "--arch", "tiny", "--batch-size", "1", "--rounds", "1",
               "--warmup", "0", "--workers", "0", "--json", str(tmp_path / "f.json"),
               "--skip-mae"]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    for network in ("visible", "dense"):
        assert figures["images_per_s"][network]["encoder"] > 0
        assert figures["images_per_s"][network]["step"] > 0
        assert figures["step_mib"][network] > 0
    assert figures["pipeline"]["images_per_s"] > 0
