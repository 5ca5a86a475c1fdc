"""Normalisation of pairs for mmdet and mmseg: every image, each modality, any order of channels."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from mmspec.datasets.transforms import DropModality
from mmspec.registry import MODELS

mmdet = pytest.importorskip("mmdet")
mmseg = pytest.importorskip("mmseg")

from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.structures.mask import BitmapMasks  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

STATISTICS = dict(
    mean_infrared=(10, 20, 30),
    std_infrared=(2, 4, 5),
    mean_visible=(1, 2, 3),
    std_visible=(4, 5, 6),
)
MEAN = torch.tensor([10, 20, 30, 1, 2, 3.0]).view(6, 1, 1)
STD = torch.tensor([2, 4, 5, 4, 5, 6.0]).view(6, 1, 1)
PAIR = ("infrared", "infrared", "infrared", "red", "green", "blue")
FOUR = ("infrared", "red", "green", "blue")


def det(**settings):
    return MODELS.build(dict(type="mmspec.RGBTDetDataPreprocessor", **STATISTICS, **settings))


def seg(**settings):
    return MODELS.build(dict(type="mmspec.RGBTSegDataPreprocessor", **STATISTICS, **settings))


def pixels(*sizes: tuple[int, int]) -> list[torch.Tensor]:
    """Pairs (6, H, W) uint8 with three equal infrared channels."""
    generator = torch.Generator().manual_seed(0)
    images = []
    for size in sizes:
        image = torch.randint(1, 256, (6, *size), generator=generator, dtype=torch.uint8)
        image[1:3] = image[:1]
        images.append(image)
    return images


def seg_batch(images: list[torch.Tensor], channels=PAIR) -> dict:
    samples = []
    for image in images:
        sample = SegDataSample(metainfo=dict(channels=channels, img_shape=image.shape[1:]))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, *image.shape[1:], dtype=torch.long))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def det_batch(images: list[torch.Tensor], channels=PAIR) -> dict:
    samples = []
    for image in images:
        size = tuple(image.shape[1:])
        masks = BitmapMasks(np.ones((1, *size), np.uint8), *size)
        instances = InstanceData(bboxes=torch.tensor([[1.0, 2, 5, 6]]), masks=masks)
        meta = dict(channels=channels, img_shape=size)
        samples.append(DetDataSample(metainfo=meta, gt_instances=instances))
    return dict(inputs=images, data_samples=samples)


def test_every_image_of_a_detection_batch_is_normalised_and_padded_alike():
    images = pixels((20, 40), (30, 24), (32, 33))
    batch = det(pad_size_divisor=32, pad_mask=True)(det_batch(images), True)
    assert batch["inputs"].shape == (3, 6, 32, 64)
    for padded, image, sample in zip(batch["inputs"], images, batch["data_samples"]):
        height, width = image.shape[1:]
        torch.testing.assert_close(padded[:, :height, :width], (image - MEAN) / STD)
        assert padded[:, height:].eq(0).all() and padded[:, :, width:].eq(0).all()
        assert sample.batch_input_shape == (32, 64)
        assert sample.gt_instances.masks.masks.shape == (1, 32, 64)
    assert [s.pad_shape for s in batch["data_samples"]] == [(32, 64), (32, 32), (32, 64)]


def test_every_image_of_a_segmentation_batch_is_normalised_and_padded_alike():
    images = pixels((20, 40), (30, 24))
    batch = seg(size=(32, 48))(seg_batch(images), True)
    assert batch["inputs"].shape == (2, 6, 32, 48)
    for padded, image, sample in zip(batch["inputs"], images, batch["data_samples"]):
        height, width = image.shape[1:]
        torch.testing.assert_close(padded[:, :height, :width], (image - MEAN) / STD)
        assert padded[:, height:].eq(0).all() and padded[:, :, width:].eq(0).all()
        assert sample.gt_sem_seg.data.shape == (1, 32, 48)
        assert sample.gt_sem_seg.data[:, height:].eq(255).all()


@pytest.mark.parametrize("build", [det, seg])
@pytest.mark.parametrize(
    ("channels", "numbers", "half"),
    [
        (PAIR, range(6), slice(6)),
        (FOUR, (0, 3, 4, 5), slice(6)),
        (("blue", "green", "red", "infrared"), (5, 4, 3, 0), slice(6)),
        (("infrared",) * 3, (0, 1, 2), slice(3)),
        (("infrared",), (0,), slice(3)),
        (("blue", "green", "red"), (5, 4, 3), slice(3, 6)),
        (("red", "green", "blue"), (3, 4, 5), slice(3, 6)),
    ],
)
def test_channels_are_ordered_by_name(build, channels, numbers, half):
    (image,) = pixels((8, 8))
    batch = (det_batch if build is det else seg_batch)([image[list(numbers)]], channels)
    expected = ((image - MEAN) / STD)[half]
    torch.testing.assert_close(build()(batch)["inputs"], expected[None])


@pytest.mark.parametrize("build", [det, seg])
def test_a_dropped_modality_is_marked_by_zeros(build):
    images = pixels((8, 8), (8, 8), (8, 8))
    images[0][3:] = 0
    images[1][:3] = 0
    images[2][3:, 1:] = 0  # dark, but seen
    inputs = build()((det_batch if build is det else seg_batch)(images))["inputs"]
    expected = torch.stack([(image - MEAN) / STD for image in images])
    expected[0, 3:] = expected[1, :3] = 0
    torch.testing.assert_close(inputs, expected)


def test_drop_modality_reaches_the_model():
    (image,) = pixels((8, 8))
    results = dict(img=image[2:].permute(1, 2, 0).numpy(), channels=FOUR)
    dropped = torch.from_numpy(DropModality(prob=1.0)(results)["img"]).permute(2, 0, 1)
    (inputs,) = seg()(seg_batch([dropped], FOUR))["inputs"]
    assert sorted([inputs[:3].any().item(), inputs[3:].any().item()]) == [False, True]


def test_a_tensor_of_equal_images_is_taken_too():
    images = pixels((8, 8), (8, 8))
    for build, batch in ((det, det_batch(images)), (seg, seg_batch(images))):
        stacked = batch | dict(inputs=torch.stack(images))
        assert torch.equal(build()(stacked)["inputs"], build()(batch)["inputs"])


@pytest.mark.parametrize("build", [det, seg])
def test_channels_are_never_guessed(build):
    images = pixels((8, 8), (8, 8))
    make = det_batch if build is det else seg_batch
    mixed = make(images)
    mixed["data_samples"][1] = make(images, FOUR)["data_samples"][0]
    for batch, message in (
        (dict(inputs=images), "must state"),
        (mixed, "must state the same"),
        (make(images, FOUR), "6] channels"),
        (make(images, None), "'channels' among the meta_keys"),
        (make([i[:4] for i in images], ("infrared", "red", "green", "near")), "no blue"),
        (make([i[:2] for i in images], ("infrared", "depth")), "unknown depth"),
    ):
        with pytest.raises(ValueError, match=message):
            build()(batch)


@pytest.mark.parametrize("key", ["mean", "bgr_to_rgb"])
def test_settings_of_single_images_are_refused(key):
    with pytest.raises(TypeError, match=f"{key} has no meaning here"):
        det(**{key: [1, 2, 3]})


WITHOUT_FRAMEWORKS = """
import sys
sys.modules.update(mmdet=None, mmseg=None)
import mmspec.models
from mmspec.registry import MODELS
for task in ("Det", "Seg"):
    try:
        MODELS.build(dict(type=f"mmspec.RGBT{task}DataPreprocessor"))
    except ImportError as error:
        print(error)
"""


def test_without_the_frameworks_it_says_what_to_install():
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    assert "mmspec.RGBTDetDataPreprocessor needs mmdet, which cannot be imported" in said
    assert "mmspec.RGBTSegDataPreprocessor needs mmseg, which cannot be imported" in said
    assert "pip install onedl-mmdetection" in said and "pip install onedl-mmsegmentation" in said
