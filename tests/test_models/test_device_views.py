"""Views made on the device are those of the loader."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from mmpretrain.datasets.transforms import RandomResizedCrop
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

from mmspec.datasets.collate import collate_padded
from mmspec.datasets.transforms import InfraredPhotometric, photometric
from mmspec.models.data_preprocessors import InfraredDataPreprocessor, RGBTDataPreprocessor
from mmspec.models.data_preprocessors.geometry import crop_resize, draw_boxes, middle_squares
from mmspec.models.data_preprocessors.photometric import (
    change_infrared,
    change_visible,
    draw_infrared,
    draw_visible,
)
from mmspec.models.data_preprocessors.views import RandomViews
from mmspec.pairs import PAIR
from mmspec.photometry import InfraredChanges

pytestmark = pytest.mark.stack
SIZES = [(40, 60), (64, 64), (33, 90), (150, 70)]
NORM = dict(mean=[100.0] * 3, std=[50.0] * 3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def noise(height, width, channels=1) -> torch.Tensor:
    return torch.randint(0, 256, (channels, height, width), dtype=torch.uint8)


def by_pillow(image: np.ndarray, box, size) -> np.ndarray:
    """One direction after the other: Pillow 13 chooses which comes first by the shape."""
    left, top, width, height = box
    image = Image.fromarray(image)
    rows = image.resize(
        (size[1], image.height), Image.Resampling.BICUBIC, (left, 0, left + width, image.height)
    )
    columns = (0, top, size[1], top + height)
    return np.asarray(rows.resize(size[::-1], Image.Resampling.BICUBIC, columns))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_crops_of_a_padded_batch_are_pillows(dtype):
    batch = collate_padded([dict(inputs=noise(*size).to(dtype)) for size in SIZES])
    images, sizes = batch["inputs"], batch["sizes"]
    assert images.shape == (4, 1, 150, 90) and sizes.tolist() == [list(size) for size in SIZES]
    for _ in range(5):
        boxes, flip = draw_boxes(sizes, (0.2, 1)), torch.rand(4) < 0.5
        views = crop_resize(images, boxes, sizes, (56, 48), flip)
        assert views.dtype == dtype
        for image, (height, width), box, flipped, view in zip(images, SIZES, boxes, flip, views):
            expected = by_pillow(image[0, :height, :width].numpy(), box.tolist(), (56, 48))
            difference = view[0].numpy().astype(float) - expected[:, :: -1 if flipped else 1]
            assert np.abs(difference).max() <= (1 if dtype == torch.uint8 else 0.01)


def test_an_image_of_the_size_of_its_view_is_left_as_it_is():
    images, sizes = noise(48, 48)[None], torch.tensor([[48, 48]])
    assert torch.equal(crop_resize(images, middle_squares(sizes), sizes, (48, 48)), images)


def test_a_training_in_tf32_and_half_precision_gives_the_same_views(monkeypatch):
    images, sizes = noise(64, 64)[None], torch.tensor([[64, 64]])
    expected = crop_resize(images, middle_squares(sizes), sizes, (48, 48))
    product, used = torch.Tensor.__matmul__, []

    def watched(*factors):
        used.append(torch.get_float32_matmul_precision())
        return product(*factors)

    monkeypatch.setattr(torch.Tensor, "__matmul__", watched)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")  # as TF32Hook does
    try:
        with torch.autocast("cpu", torch.bfloat16):
            views = crop_resize(images, middle_squares(sizes), sizes, (48, 48))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert used == ["highest"] * 2
    assert torch.equal(views, expected)


def test_boxes_are_as_likely_as_mmpretrains():
    np.random.seed(0)
    crop = RandomResizedCrop(8, crop_ratio_range=(0.2, 1.0))
    image = np.zeros((50, 200), np.uint8)  # several attempts, often
    drawn = np.array([crop.rand_crop_params(image) for _ in range(4000)])[:, [1, 0, 3, 2]]
    boxes = draw_boxes(torch.tensor([[50, 200]]).expand(4000, 2), (0.2, 1.0)).numpy()
    assert (boxes == np.round(boxes)).all() and boxes[:, :2].min() == 0 and boxes[:, 2:].min() > 0
    assert (boxes[:, 1] + boxes[:, 3]).max() <= 50 and (boxes[:, 0] + boxes[:, 2]).max() <= 200
    np.testing.assert_allclose(boxes.mean(0), drawn.mean(0), rtol=0.05)
    np.testing.assert_allclose(boxes.std(0), drawn.std(0), rtol=0.05)


def test_the_middle_of_an_image_that_no_box_fits():
    boxes = draw_boxes(torch.tensor([[10, 400], [400, 10]]), (0.9, 1.0))
    crop = RandomResizedCrop(8, crop_ratio_range=(0.9, 1.0))
    for box, shape in zip(boxes.int().tolist(), [(10, 400), (400, 10)]):
        assert box == [crop.rand_crop_params(np.zeros(shape))[i] for i in (1, 0, 3, 2)]


def test_infrared_levels_are_those_of_the_loader():
    image = noise(24, 32)
    for change in (
        dict(gain=(1.3, 1.3)),
        dict(offset=(-0.4, -0.4)),
        dict(gamma=(0.8, 0.8)),
        dict(gain=(0.8, 0.8), offset=(0.3, 0.3), gamma=(1.2, 1.2)),
    ):
        options = dict(gain=(1, 1), offset=(0, 0), gamma=(1, 1), noise=(0, 0), prob=1.0) | change
        expected = InfraredPhotometric(**options)(dict(img=image[0].numpy()))["img"]
        draws = draw_infrared(1, InfraredChanges(**options), torch.device("cpu"))
        changed = change_infrared(image[None], *draws)[0, 0].numpy().astype(int)
        assert np.abs(changed - expected).max() <= 1 and (changed == expected).mean() > 0.99


def test_infrared_noise_and_how_often_each_change_is_drawn():
    flat = torch.full((1, 1, 200, 200), 100, dtype=torch.uint8)
    flat[..., ::2] = 140
    none = torch.zeros(1, 1, 1, 1)
    noisy = change_infrared(flat, none + 1, none, none + 1, none + 0.2).float() - flat
    assert noisy.std().item() == pytest.approx(0.2 * 20, rel=0.03)
    draws = draw_infrared(4000, InfraredChanges(prob=0.25), torch.device("cpu"))
    for name, neutral, values in zip(("gain", "offset", "gamma", "noise"), (1, 0, 1, 0), draws):
        low, high = getattr(InfraredChanges(), name)
        assert low <= values.min() and values.max() <= high
        assert (values != neutral).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_visible_colours_are_those_of_the_loader_in_any_order_of_steps():
    image = cv2.resize(noise(12, 16, 3).permute(1, 2, 0).numpy(), (64, 48))
    steps = [
        getattr(photometric, name)
        for name in ("_change_brightness", "_change_contrast", "_change_saturation", "_turn_hue")
    ]
    strengths, order = draw_visible(48, torch.device("cpu"))
    assert len({tuple(row) for row in order.tolist()}) > 12
    pixels = torch.from_numpy(image).permute(2, 0, 1).expand(48, -1, -1, -1)
    changed = change_visible(pixels.flip(1), strengths, order).flip(1).permute(0, 2, 3, 1).numpy()
    differences = []
    for view, draws, row in zip(changed, strengths.tolist(), order.tolist()):
        expected = image.copy()
        for index in row:
            steps[index](expected, draws[index])
        differences.append(np.abs(view.astype(int) - expected))
    assert (np.stack(differences) > 1).mean() < 0.01 and np.mean(differences) < 0.05


def test_what_is_black_stays_black():
    views = RandomViews(16, infrared=dict(prob=1.0), visible=True)
    pairs = noise(20, 20, 4).repeat(2, 1, 1, 1)
    pairs[0, 0], pairs[1, 1:] = 0, 0
    made = views(pairs, None, True)
    assert not made[0, 0].any() and not made[1, 1:].any()
    assert made[0, 1:].any() and made[1, 0].any()


def test_views_wait_for_no_device():
    """A tensor without content has no numbers that the host could ask for."""
    views = RandomViews(16, infrared={}, visible=True)
    with FakeTensorMode():
        pairs = torch.empty(2, 4, 20, 24, dtype=torch.uint8)
        sizes = torch.full((2, 2), 20)
        for training in (True, False):
            assert views(pairs, sizes, training).shape == (2, 4, 16, 16)
            assert views(pairs, None, training).shape == (2, 4, 16, 16)
        with pytest.raises(Exception, match="scalar_dense"):
            pairs.sum().item()  # what such a wait would be


def test_views_of_single_images_repeat_and_ignore_half_precision():
    preprocessor = InfraredDataPreprocessor(**NORM, views=dict(size=32, infrared={}))
    batch = collate_padded([dict(inputs=noise(*s), img_path=f"{s}.png") for s in SIZES])
    made = []
    for seed, half in ((3, False), (3, True), (4, False)):
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            made.append(preprocessor(batch, True))
    first, again, other = (each["inputs"] for each in made)
    assert first.shape == (4, 3, 32, 32) and made[0]["data_samples"] is None
    assert torch.equal(first, again) and not torch.equal(first, other)
    middle = preprocessor(batch, False)["inputs"]
    assert torch.equal(middle, preprocessor(batch, False)["inputs"])
    expected = by_pillow(batch["inputs"][0, 0, :40, :60].numpy(), (10, 0, 40, 40), (32, 32))
    assert (middle[0, 0] * 50 + 100 - torch.from_numpy(expected.copy())).abs().max() < 1.01


def test_pairs_without_data_samples_and_their_views():
    pairs = noise(40, 48, 4).repeat(2, 1, 1, 1)
    plain = RGBTDataPreprocessor()
    samples = [BaseDataElement(metainfo=dict(channels=PAIR)) for _ in range(2)]
    expected = plain(dict(inputs=pairs, data_samples=samples))["inputs"]
    made = plain(dict(inputs=pairs, img_path=["a", "b"]))
    assert torch.equal(made["inputs"], expected) and made["data_samples"] is None
    with pytest.raises(ValueError, match="images of .3. channels"):
        plain(dict(inputs=pairs[:, :3], img_path=["a", "b"]))
    options = dict(infrared={}, visible=True, crop_ratio_range=(0.5, 1.0))
    viewing = RGBTDataPreprocessor(views=dict(size=24, **options))
    views = viewing(dict(inputs=pairs, img_path=["a", "b"]), True)["inputs"]
    assert views.shape == (2, 6, 24, 24) and not torch.equal(views[0], views[1])
    # One geometry for both: where infrared equals red, it does so in the views.
    pairs[:, 1] = pairs[:, 0]
    torch.manual_seed(0)
    views = RandomViews(24)(pairs, None, True)
    assert torch.equal(views[:, 0], views[:, 1]) and not torch.equal(views[:, 0], views[:, 2])


def test_what_views_cannot_be_made_of():
    with pytest.raises(ValueError, match="collate by mmspec.collate_padded"):
        InfraredDataPreprocessor(**NORM, views=dict(size=8))(
            dict(inputs=[noise(9, 9), noise(8, 9)])
        )
    with pytest.raises(ValueError, match="photometric steps of 3 channels"):
        RandomViews(8, infrared={})(noise(9, 9, 3)[None], None, True)
    with pytest.raises(ValueError, match="gain must be"):
        RandomViews(8, infrared=dict(gain=(2, 1)))
