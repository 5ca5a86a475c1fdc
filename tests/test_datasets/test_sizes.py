"""Sizes of loaded images beside what their labels say."""

import numpy as np
import pytest
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.registry import DATASETS

LABEL, PAIR, GRAY, MMCVS = (
    dict(type=name)
    for name in (
        "mmspec.LoadSegmentationLabels", "mmspec.LoadRGBTImageFromFile",
        "mmspec.LoadInfraredImageFromFile", "mmcv.LoadImageFromFile",
    )
)  # fmt: skip


@pytest.mark.parametrize("loader", [PAIR, GRAY, MMCVS], ids=lambda loader: loader["type"])
@pytest.mark.parametrize("label_first", [False, True])
def test_a_label_of_another_size_is_refused_in_any_order(tmp_path, loader, label_first):
    for folder, size in (("images/train", (30, 40)), ("labels/train", (15, 20))):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / folder / "1.png")
    steps = [LABEL, loader] if label_first else [loader, LABEL]
    dataset = DATASETS.build(
        dict(
            type="mmspec.InfraredSegDataset", data_root=str(tmp_path), pipeline=steps,
            metainfo=dict(classes=("ground", "pipe")),
        )
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"20 x 15") as raised:
        dataset[0]
    assert isinstance(raised.value, UnreadableImageError) == label_first
    for part in ("images/train/1.png", "labels/train/1.png", "40 x 30"):
        assert part in str(raised.value)
