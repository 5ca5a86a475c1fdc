import numpy as np
import pytest

from mmspec.datasets.repeatable import isolated_random
from mmspec.datasets.transforms import InfraredPhotometric

OFF = dict(gain=(1, 1), offset=(0, 0), gamma=(1, 1), noise=(0, 0), prob=1.0)


@pytest.fixture
def gray():
    return np.random.RandomState(0).randint(30, 220, (20, 30)).astype(np.uint8)


def apply(img, **options):
    return InfraredPhotometric(**(OFF | options))(dict(img=img))["img"]


def test_nothing_to_change_changes_nothing(gray):
    np.testing.assert_array_equal(apply(gray), gray)
    np.testing.assert_array_equal(InfraredPhotometric(prob=0)(dict(img=gray))["img"], gray)


def test_gain_acts_about_the_mean_level(gray):
    mean = gray.mean()
    expected = np.rint(mean + 1.25 * (gray - mean)).clip(0, 255)
    np.testing.assert_array_equal(apply(gray, gain=(1.25, 1.25)), expected)


def test_offset_is_in_standard_deviations(gray):
    expected = np.rint(gray - 0.4 * gray.std()).clip(0, 255)
    np.testing.assert_array_equal(apply(gray, offset=(-0.4, -0.4)), expected)


def test_gamma_acts_on_levels_from_0_to_1(gray):
    expected = np.rint(255 * (gray / 255.0) ** 1.3)
    np.testing.assert_array_equal(apply(gray, gamma=(1.3, 1.3)), expected)


def test_gain_comes_before_offset_and_both_before_gamma(gray):
    shifted = gray.mean() + 1.3 * (gray - gray.mean()) + 0.2 * gray.std()
    expected = np.rint(255 * (shifted.clip(0, 255) / 255) ** 0.8)
    out = apply(gray, gain=(1.3, 1.3), offset=(0.2, 0.2), gamma=(0.8, 0.8))
    np.testing.assert_array_equal(out, expected)


def test_noise_has_the_strength_asked_for():
    ramp = np.tile(np.linspace(60, 190, 400), (300, 1)).astype(np.uint8)
    added = apply(ramp, noise=(0.1, 0.1)).astype(float) - ramp
    assert added.std() == pytest.approx(0.1 * ramp.std(), rel=0.02)
    assert added.mean() == pytest.approx(0, abs=0.05)


def test_noise_saturates_and_does_not_wrap():
    ends = np.repeat(np.array([0, 255], np.uint8), 500).reshape(10, 100)
    out = apply(ends, noise=(0.1, 0.1)).astype(int)
    assert out[:5].max() < 100 and out[5:].min() > 155


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_one_draw_for_all_channels(gray, channels):
    img = np.repeat(gray[..., None], channels, axis=2)
    np.random.seed(3)
    out = InfraredPhotometric(prob=1.0)(dict(img=img))["img"]
    assert out.shape == img.shape and out.dtype == np.uint8
    np.random.seed(3)
    single = InfraredPhotometric(prob=1.0)(dict(img=gray))["img"]
    np.testing.assert_array_equal(out, np.repeat(single[..., None], channels, axis=2))
    assert (single != gray).mean() > 0.5


def test_a_mirrored_view_and_the_input_itself(gray):
    kept = gray.copy()
    options = dict(gain=(1.2, 1.2))
    np.testing.assert_array_equal(apply(gray[:, ::-1], **options), apply(gray, **options)[:, ::-1])
    np.testing.assert_array_equal(gray, kept)


def test_a_constant_image_has_no_contrast_to_shift_or_blur():
    flat = np.full((8, 8), 77, np.uint8)
    out = apply(flat, gain=(1.4, 1.4), offset=(0.5, 0.5), noise=(0.15, 0.15))
    np.testing.assert_array_equal(out, flat)


def test_draws_follow_the_global_generators(gray):
    step = InfraredPhotometric()

    def twelve(seed):
        with isolated_random(seed):
            return np.stack([step(dict(img=gray))["img"] for _ in range(12)])

    np.testing.assert_array_equal(twelve(1), twelve(1))
    assert len(np.unique(twelve(1).reshape(12, -1), axis=0)) > 6
    assert not np.array_equal(twelve(1), twelve(2))


def test_each_of_the_four_is_drawn_on_its_own(gray):
    np.random.seed(0)
    step = InfraredPhotometric(
        gain=(1, 1), offset=(0, 0), noise=(0, 0), gamma=(1.3, 1.3), prob=0.25
    )
    changed = [not np.array_equal(step(dict(img=gray))["img"], gray) for _ in range(400)]
    assert 0.18 < np.mean(changed) < 0.32


def test_gain_is_as_likely_below_as_above_one():
    np.random.seed(0)
    ramp = np.arange(64, 192, dtype=np.uint8)[None]
    spans = np.array([np.ptp(apply(ramp, gain=(0.5, 2.0)).astype(int)) for _ in range(400)])
    assert 0.42 < (spans > 127).mean() < 0.58


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(gain=(1.2, 0.8)), r"gain must be \(low, high\).* got \(1.2, 0.8\)"),
        (dict(gain=(0, 1)), "gain must be"),
        (dict(offset=(float("nan"), 1)), "offset must be"),
        (dict(gamma=(-1, 1)), "gamma must be"),
        (dict(noise=(-1, 1)), "noise must be"),
        (dict(prob=1.5), "prob must be in"),
    ],
)
def test_ranges_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        InfraredPhotometric(**options)


def test_float_images_are_refused(gray):
    with pytest.raises(TypeError, match="img is float64, give uint8 or float32"):
        apply(gray.astype(np.float64))


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_fractions_of_levels_are_changed_as_levels_are_and_not_rounded(gray, shape):
    levels = gray if len(shape) == 2 else np.repeat(gray[..., None], 3, axis=2)
    change = dict(gain=(1.3, 1.3), offset=(0.2, 0.2), gamma=(0.8, 0.8))
    fractions = apply(levels.astype(np.float32), **change)
    assert fractions.dtype == np.float32 and fractions.shape == shape
    assert np.abs(fractions - apply(levels, **change)).max() <= 0.5 + 1e-4
    between = apply(levels + np.float32(0.25), **change)
    assert (between > fractions)[fractions < 254].all()
    noisy = apply(levels.astype(np.float32), noise=(0.2, 0.2))
    assert noisy.dtype == np.float32 and noisy.min() >= 0 and noisy.max() <= 255
    assert (noisy % 1 > 0).mean() > 0.9
