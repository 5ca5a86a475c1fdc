"""docs/quickstart.ipynb runs from the first cell to the last, with few steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quickstart.ipynb"


def test_the_notebook_runs(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    script = tmp_path / "notebook.py"
    script.write_text(
        "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    )
    few = dict(QUICKSTART_DIR=str(tmp_path), QUICKSTART_EPOCHS="1", QUICKSTART_ITERATIONS="2")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **few, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "targets.onnx").is_file()
