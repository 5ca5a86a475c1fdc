"""The steps of pre-training pipelines: one resampling, and batches without data samples."""

import warnings

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import RandomFlip
from mmengine.dataset import default_collate
from mmpretrain.datasets.transforms import RandomResizedCrop

from mmspec.datasets.repeatable import isolated_random
from mmspec.datasets.transforms import PackImage, RandomView
from mmspec.pairs import PAIR

pytestmark = pytest.mark.stack


def picture(channels=(), seed=0, size=(90, 120)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (12, 16, *channels), dtype=np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def test_draws_and_pixels_are_mmpretrains():
    options = dict(scale=48, crop_ratio_range=(0.2, 0.9))
    crop = RandomResizedCrop(**options, backend="pillow", interpolation="bicubic")
    flip = RandomFlip(0.5)
    for seed in range(12):
        before = picture(seed=seed)
        with isolated_random(seed):
            expected = flip(crop(dict(img=before)))
            following = np.random.random()
        with isolated_random(seed):
            view = RandomView(**options)(dict(img=before))
            assert np.random.random() == following
        assert view["flip"] == expected["flip"] and view["img_shape"] == (48, 48)
        difference = np.abs(view["img"].astype(int) - expected["img"])
        assert difference.max() <= 2 and (difference > 0).mean() < 0.15


def test_an_image_that_no_crop_fits_gives_its_middle():
    shapes = [(10, 400), (400, 10)]
    crop = RandomResizedCrop(8, crop_ratio_range=(0.9, 1.0))
    for shape in shapes:
        assert RandomView(8, (0.9, 1.0)).draw_box(*shape) == crop.rand_crop_params(np.zeros(shape))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_of_a_pair_are_cut_alike(dtype):
    pair = picture((4,)).astype(dtype)
    for seed in range(4):
        with isolated_random(seed):
            both = RandomView((24, 32))(dict(img=pair))["img"]
        assert both.shape == (24, 32, 4) and both.dtype == dtype
        for channel in range(4):
            with isolated_random(seed):
                alone = RandomView((24, 32))(dict(img=pair[..., channel]))["img"]
            assert np.abs(both[..., channel].astype(float) - alone).max() <= 1


def test_a_read_only_image_is_taken_without_a_warning_and_left_alone():
    image = picture()
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RandomView(16)(dict(img=image))["img"].shape == (16, 16)
        packed = PackImage()(dict(img=image, img_path="a.png"))
    packed["inputs"].zero_()
    assert image.any()


def test_a_flipped_view_is_cut_as_its_copy():
    for image in (picture()[:, ::-1], picture()[::-1], picture((4,))[:, ::-1]):
        views = []
        for one in (image, image.copy()):
            with isolated_random(0):
                views.append(RandomView(16)(dict(img=one))["img"])
        np.testing.assert_array_equal(*views)


def test_batches_are_a_tensor_and_the_names():
    gray = picture()
    samples = [PackImage()(dict(img=img, img_path=name, sample_idx=3))
               for img, name in ((gray, "a.png"), (gray[:, ::-1], "b.png"))]  # fmt: skip
    batch = default_collate(samples)
    assert set(batch) == {"inputs", "img_path"} and list(batch["img_path"]) == ["a.png", "b.png"]
    assert batch["inputs"].shape == (2, 1, 90, 120) and batch["inputs"].dtype == torch.uint8
    assert torch.equal(batch["inputs"][0], batch["inputs"][1].flip(-1))
    pair = picture((4,))
    inputs = PackImage()(dict(img=pair, img_path="a.png", channels=PAIR))["inputs"]
    assert np.array_equal(inputs.permute(1, 2, 0).numpy(), pair)
    with pytest.raises(ValueError, match=r"PackImage: channels .* of a.png are no pair"):
        PackImage()(dict(img=pair, img_path="a.png", channels=PAIR[::-1]))
