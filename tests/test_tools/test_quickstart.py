"""docs/quickstart.ipynb runs from the first cell to the last, with few steps."""

import json
from pathlib import Path

from processes import run

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quickstart.ipynb"


def test_the_notebook_runs(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    script = tmp_path / "notebook.py"
    script.write_text(code)
    few = dict(QUICKSTART_DIR=str(tmp_path), QUICKSTART_EPOCHS="1", QUICKSTART_ITERATIONS="2")
    done = run(script, **few, MPLBACKEND="agg")
    assert done.returncode == 0, done.output
    assert (tmp_path / "targets.onnx").is_file()
