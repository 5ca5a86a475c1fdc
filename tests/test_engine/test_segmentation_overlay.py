"""The hook that writes predictions over the input."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmspec.engine import SegmentationOverlayHook, pictures
from mmspec.visualization.samples import loaded_image


class Images:
    metainfo: ClassVar = dict(classes=("background", "car"))

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


DATASET = SimpleNamespace(dataset=Images(12))


def batch(names: list[str]) -> tuple[dict, list[SegDataSample]]:
    samples = []
    for name in names:
        labels = torch.zeros(1, 30, 40, dtype=torch.int64)
        sample = SegDataSample(metainfo=dict(img_path=f"somewhere/{name}.tiff"))
        sample.pred_sem_seg = PixelData(data=labels)
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return dict(inputs=[torch.zeros(3, 15, 20, dtype=torch.uint8)] * len(names)), samples


def test_first_images_of_a_test(tmp_path):
    hook = SegmentationOverlayHook(num_images=3)
    runner = SimpleNamespace(work_dir=str(tmp_path), test_dataloader=DATASET)
    for _ in range(2):  # a second test writes the same pictures
        hook.before_test_epoch(runner)
        for i, names in enumerate((["a", "b"], ["a", "d"], ["e"])):
            data, outputs = batch(names)
            hook.after_test_iter(runner, i, data, outputs)
        found = sorted(p.name for p in (tmp_path / "overlays" / "test").iterdir())
        assert found == ["0000_a.png", "0001_b.png", "0002_a.png"]
    with Image.open(tmp_path / "overlays" / "test" / "0000_a.png") as picture:
        assert picture.size[0] == 3 * 44 + 4


def test_all_images_into_another_folder(tmp_path):
    hook = SegmentationOverlayHook(num_images=None, out_dir=str(tmp_path / "shown"))
    runner = SimpleNamespace(work_dir=str(tmp_path), test_dataloader=DATASET)
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, 0, *batch([str(i) for i in range(12)]))
    assert len(list((tmp_path / "shown").iterdir())) == 12
    assert not (tmp_path / "overlays").exists()


def test_processes_draw_their_own_images_and_none_twice(tmp_path, monkeypatch):
    # Of five images; the third of the second process is the first one again.
    for rank, names in enumerate((["a", "c", "e"], ["b", "d", "a"])):
        monkeypatch.setattr(pictures, "get_dist_info", lambda rank=rank: (rank, 2))
        for folder, count in (("all", None), ("three", 3)):
            hook = SegmentationOverlayHook(num_images=count, out_dir=str(tmp_path / folder))
            runner = SimpleNamespace(
                work_dir=str(tmp_path), test_dataloader=SimpleNamespace(dataset=Images(5))
            )
            hook.before_test_epoch(runner)
            for i, name in enumerate(names):
                hook.after_test_iter(runner, i, *batch([name]))
    expected = ["0000_a.png", "0001_b.png", "0002_c.png", "0003_d.png", "0004_e.png"]
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == expected
    assert sorted(p.name for p in (tmp_path / "three").iterdir()) == expected[:3]


def test_every_validation_has_its_folder(tmp_path):
    hook = SegmentationOverlayHook(num_images=1)
    runner = SimpleNamespace(work_dir=str(tmp_path), val_dataloader=DATASET)
    for runner.iter in (250, 500):
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, *batch(["a", "b"]))
    folders = sorted(p.name for p in (tmp_path / "overlays").iterdir())
    assert folders == ["iter_000250", "iter_000500"]


def test_both_images_of_a_pair():
    _, (sample,) = batch(["a"])
    labels = torch.zeros(1, 30, 40, dtype=torch.int64)
    labels[:, 10:] = 1
    sample.pred_sem_seg.data = labels
    sample.set_metainfo(dict(channels=("infrared", "red", "green", "blue")))
    image = torch.zeros(4, 30, 40, dtype=torch.uint8)
    image[1:] = torch.tensor([90, 60, 30], dtype=torch.uint8).view(3, 1, 1)
    picture = SegmentationOverlayHook().draw(image, sample, Images.metainfo["classes"])
    assert picture.shape[1] == 4 * 44 + 4
    infrared, visible, prediction, truth = (picture[26:56, 4 + 44 * i :][:, :40] for i in range(4))
    assert not infrared.any() and (visible == (90, 60, 30)).all()
    # Over the infrared image.
    assert not truth.any() and not prediction[:9].any() and prediction[10:].any(-1).all()


def test_what_the_pipeline_loaded():
    gray = torch.arange(6, dtype=torch.uint8).view(1, 2, 3).expand(3, -1, -1)
    assert loaded_image(gray, (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded_image(gray, (4, 6)).shape == (4, 6)
    blue = torch.zeros(3, 2, 3, dtype=torch.uint8)
    blue[0] = 200
    assert np.array_equal(loaded_image(blue, (2, 3))[0, 0], [0, 0, 200])
    pair = torch.cat([gray, blue])
    assert loaded_image(pair, (2, 3)).ndim == 2
