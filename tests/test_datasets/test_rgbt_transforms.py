"""Two-modality augmentation: jitter, dropped and misaligned images, synthetic pairs."""

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import ColorJitter

from mmspec.datasets import SyntheticInfrared
from mmspec.datasets.repeatable import isolated_random
from mmspec.datasets.transforms import (
    DropModality,
    InfraredPhotometric,
    MisalignPair,
    RGBTPhotometric,
    VisiblePhotometric,
)

PAIR = ("infrared", "red", "green", "blue")
INFRARED, VISIBLE = ("infrared",) * 3, ("blue", "green", "red")


def sample(channels=PAIR, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    img = rng.integers(30, 220, (12, 16, len(channels)), dtype=np.uint8)
    infrared = [i for i, name in enumerate(channels) if name == "infrared"]
    img[..., infrared] = img[..., infrared[:1]]
    return dict(img=img, channels=channels, img_path="a.png")


class Bluer:
    """Adds 10 to the first channel, which is blue in mmcv's order."""

    def __call__(self, results):
        results["img"] = results["img"] + np.array([10, 0, 0], np.uint8)
        return results


class Darker:
    def __call__(self, results):
        results["img"] = results["img"] // 2
        return results


@pytest.mark.parametrize("channels", [PAIR, INFRARED, INFRARED[:1], VISIBLE])
def test_each_modality_gets_its_own_photometry(channels):
    before = sample(channels)
    after = RGBTPhotometric(infrared=Darker(), visible=Bluer())(before | dict(other=1))
    assert after["other"] == 1 and after["channels"] == channels
    for i, name in enumerate(channels):
        old, new = before["img"][..., i], after["img"][..., i]
        expected = {"infrared": old // 2, "blue": old + 10}.get(name, old)
        np.testing.assert_array_equal(new, expected)


def test_defaults_are_infrared_photometry_and_colour_jitter():
    with isolated_random(3):
        after = RGBTPhotometric()(sample())["img"]
    with isolated_random(3):
        gray = InfraredPhotometric()(dict(img=sample()["img"][..., 0].copy()))["img"]
    before = sample()["img"]
    assert after.dtype == np.uint8 and after.shape == before.shape
    np.testing.assert_array_equal(after[..., 0], gray)
    assert not np.array_equal(after[..., 1:], before[..., 1:])
    # Colours stay in their places: the reddest picture stays the reddest.
    red = np.zeros((12, 16, 4), np.uint8)
    red[..., 1] = 200
    means = RGBTPhotometric()(dict(img=red, channels=PAIR))["img"].mean((0, 1))
    assert means[1] > means[2:].max()


def test_colour_jitter_is_that_of_mmpretrain():
    """Draw by draw and pixel by pixel, whatever the order of the four changes."""
    image = cv2.GaussianBlur(sample(VISIBLE)["img"], (3, 3), 0)
    image[0, :2] = [[0, 0, 0], [255, 255, 255]]
    for seed in range(30):
        outputs = []
        for step in (VisiblePhotometric(), ColorJitter(0.125, 0.5, 0.5, 0.1, backend="cv2")):
            with isolated_random(seed):
                outputs.append((step(dict(img=image.copy()))["img"], np.random.random()))
        np.testing.assert_array_equal(outputs[0][0], outputs[1][0])
        assert outputs[0][1] == outputs[1][1]


@pytest.mark.parametrize("channels", [PAIR[::-1], VISIBLE[::-1], INFRARED + VISIBLE[::-1]])
def test_another_order_than_the_one_of_pairs_is_refused(channels):
    with pytest.raises(ValueError, match=r"RGBTPhotometric: .* of a.png are no pair"):
        RGBTPhotometric()(sample(channels))


@pytest.mark.parametrize(
    "step", [RGBTPhotometric(), DropModality(0.5), MisalignPair(3)], ids=lambda s: type(s).__name__
)
def test_draws_repeat_with_a_seed_and_leave_the_input_alone(step):
    before = sample()
    kept = before["img"].copy()
    outputs = []
    for seed in (0, 0, 1, 2, 3):
        with isolated_random(seed):
            outputs.append(step(dict(before))["img"])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert any(not np.array_equal(outputs[0], other) for other in outputs[2:])
    np.testing.assert_array_equal(before["img"], kept)


class Inverted:
    def __call__(self, results):
        return results | dict(img=255 - results["img"])


@pytest.mark.parametrize("channels", [PAIR, INFRARED, VISIBLE])
@pytest.mark.parametrize("black", ["infrared", "visible"])
def test_a_black_modality_stays_black_whatever_the_steps(channels, black):
    before = sample(channels)["img"]
    missing = np.array([(name == "infrared") == (black == "infrared") for name in channels])
    before[..., missing] = 0
    step = RGBTPhotometric(infrared=Inverted(), visible=Inverted())
    after = step(dict(img=before.copy(), channels=channels))["img"]
    np.testing.assert_array_equal(after, np.where(missing, 0, 255 - before))


def test_a_black_modality_stays_black():
    before = sample()
    before["img"][..., 1:] = 0
    for seed in range(8):
        with isolated_random(seed):
            assert not RGBTPhotometric()(dict(before))["img"][..., 1:].any()
    before = sample()
    before["img"][..., 0] = 0
    for seed in range(8):
        with isolated_random(seed):
            assert not RGBTPhotometric()(dict(before))["img"][..., 0].any()


def test_one_modality_is_dropped_never_both():
    infrared = np.array([name == "infrared" for name in PAIR])
    dropped = []
    with isolated_random(0):
        for _ in range(400):
            before = sample()["img"]
            after = DropModality(prob=0.5)(sample())["img"]
            black = ~after.any((0, 1))
            np.testing.assert_array_equal(after[..., ~black], before[..., ~black])
            assert black.tolist() in (infrared.tolist(), (~infrared).tolist(), [False] * len(black))
            dropped.append("neither" if not black.any() else ("ir" if black[0] else "vis"))
    assert 170 < dropped.count("neither") < 230
    assert min(dropped.count("ir"), dropped.count("vis")) > 70


def test_probabilities_at_their_ends():
    before = sample()["img"]
    for _ in range(20):
        np.testing.assert_array_equal(DropModality(prob=0)(sample())["img"], before)
        assert not DropModality(prob=1)(sample())["img"].any((0, 1)).all()
    np.testing.assert_array_equal(MisalignPair(max_shift=0)(sample())["img"], before)


def test_the_visible_image_is_shifted_by_whole_pixels():
    moved = np.array([name != "infrared" for name in PAIR])
    before = sample()["img"]
    found = set()
    with isolated_random(0):
        for _ in range(120):
            after = MisalignPair(max_shift=2)(sample())["img"]
            np.testing.assert_array_equal(after[..., ~moved], before[..., ~moved])
            padded = np.pad(before[..., moved], ((2, 2), (2, 2), (0, 0)), mode="edge")
            shifts = [
                (down, right)
                for down in range(-2, 3)
                for right in range(-2, 3)
                if np.array_equal(
                    after[..., moved], padded[2 - down : 14 - down, 2 - right : 18 - right]
                )
            ]
            assert len(shifts) == 1
            found.add(shifts[0])
    assert {down for down, _ in found} == {right for _, right in found} == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("step", [DropModality(), MisalignPair()])
@pytest.mark.parametrize("channels", [INFRARED, VISIBLE])
def test_a_single_image_is_no_pair(step, channels):
    with pytest.raises(ValueError, match=rf"{type(step).__name__}: .* of a.png are no pair"):
        step(sample(channels))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DropModality(1.5), "prob must be in"),
        (lambda: MisalignPair(-1), "max_shift must be"),
        (lambda: MisalignPair(1.5), "max_shift must be"),
    ],
)
def test_settings_that_make_no_sense(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_synthetic_pairs_show_the_scene_of_the_infrared_set():
    plain = SyntheticInfrared(2, (48, 64), seed=5)
    both = SyntheticInfrared(2, (48, 64), seed=5, modality="both")
    visible = SyntheticInfrared(2, (48, 64), seed=5, modality="visible")
    for i in range(2):
        a, b, c = plain[i], both[i], visible[i]
        assert (b["channels"], b["img"].shape) == (PAIR, (48, 64, 4))
        assert c["channels"] == ("blue", "green", "red")
        assert a["img_shape"] == b["img_shape"] == (48, 64)
        np.testing.assert_array_equal(b["img"][..., 0], a["img"])
        np.testing.assert_array_equal(b["img"][..., 1:], c["img"][..., ::-1])
        assert not np.array_equal(b["img"][..., 1], a["img"])
        np.testing.assert_array_equal(b["gt_seg_map"], a["gt_seg_map"])
    assert plain[0]["channels"] == ("infrared",)
    jittered = RGBTPhotometric(infrared=Darker())(plain[0])["img"]
    np.testing.assert_array_equal(jittered, plain[0]["img"] // 2)
    with pytest.raises(ValueError, match="modality='thermal'"):
        SyntheticInfrared(1, modality="thermal")
