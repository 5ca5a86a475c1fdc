"""``mim train``, whose start-up code is the framework's own and not ours."""

from importlib import metadata
from pathlib import Path

import pytest
from processes import run

pytestmark = pytest.mark.stack
REPO = Path(__file__).resolve().parents[2]
STEPS = ["train_cfg.max_iters=2", "train_dataloader.num_workers=0"]
WITHOUT_TESTS = ["val_cfg=None", "val_dataloader=None", "val_evaluator=None"]
# onedl-mim knows the detector package by this name, openmim by the name of its module.
OPENMIM = any(distribution.name == "openmim" for distribution in metadata.distributions())
DETECTION = "mmdet" if OPENMIM else "mmdetection"


@pytest.mark.parametrize(
    ("framework", "config"),
    [
        (DETECTION, "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py"),
        ("mmseg", "irstd/scratch_convvit-tiny_unet_1xb8-4k_synthetic-64x64.py"),
    ],
)
def test_mim_starts_the_frameworks_own_tool(framework, config, data_root, tmp_path):
    pytest.importorskip("mim")
    task = config.partition("/")[0]
    readme = (REPO / "configs" / task / "README.md").read_text()
    assert f"\nmim train {framework} configs/{task}/CONFIG.py" in readme
    done = run(
        *["-m", "mim", "train", framework, REPO / "configs" / config],
        *["--gpus", "0", "--work-dir", tmp_path],
        *["--cfg-options", *STEPS, *WITHOUT_TESTS],
        cwd=tmp_path,
        PYTHONPATH=str(REPO),
        MMSPEC_DATA=str(data_root.resolve()),
    )
    assert done.returncode == 0, done.output
    assert (tmp_path / "iter_2.pth").is_file()
