"""Resident memory of metrics over many images: a run of thousands must not grow by the image."""

import sys

import pytest
from processes import run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SCRIPT = """
import sys

import numpy as np
import torch

import mmspec.evaluation as evaluation

name, height, width, images = sys.argv[1], *map(int, sys.argv[2:])
metric = getattr(evaluation, name)()
metric.dataset_meta = dict(classes=("background", "target"))
truth = torch.zeros(1, height, width, dtype=torch.uint8)
truth[0, height // 4 : height // 2, width // 4 : width // 2] = 1
generator = torch.Generator().manual_seed(0)


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6


def process():
    scores = torch.rand(1, height, width, generator=generator)
    parts = dict(seg_logits=scores, gt_sem_seg=truth.clone(), pred_sem_seg=(scores > 0.5).long())
    parts = {key: dict(data=part) for key, part in parts.items()}
    metric.process({}, [dict(img_path="a.png", **parts)])


for _ in range(images // 4):  # until libraries and allocator have what they work with
    process()
grown = []
for _ in range(2):  # what is kept of each image grows in both, what the allocator takes in one
    start = resident()
    for _ in range(images):
        process()
    grown.append((resident() - start) / images)
print(min(grown))
"""


@pytest.mark.parametrize(
    ("metric", "height", "width", "images"),
    [
        ("SmallTargetMetric", 300, 400, 200),
        ("SaliencyMetric", 240, 320, 60),
        ("SegmentationMetric", 480, 640, 200),
    ],
)
def test_an_image_leaves_its_numbers_alone(metric, height, width, images, tmp_path):
    if metric == "SaliencyMetric":
        pytest.importorskip("py_sod_metrics")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(tmp_path / "script.py", metric, height, width, images)
    assert done.returncode == 0, done.output
    assert float(done.stdout.splitlines()[-1]) < 0.05  # MB an image
