import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from mmspec.datasets.repeatable import isolated_random
from mmspec.datasets.scenes import render_scene
from mmspec.datasets.transforms import InfraredSensor

EFFECTS = (
    "blur", "noise", "fixed_pattern", "columns", "dead_pixels", "gain", "offset", "equalization",
    "steps",
)  # fmt: skip
OFF = dict.fromkeys(EFFECTS) | dict(polarity=0.0)
STRONG = dict(
    blur=1.5, noise=0.2, fixed_pattern=0.2, columns=0.2, dead_pixels=0.05, gain=0.5, offset=0.4,
    equalization=1.0, steps=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    return render_scene(3, (96, 128), family="street_day").image


def apply(img, seed=0, **options):
    with isolated_random(seed):
        return InfraredSensor(**(OFF | options))(dict(img=img))["img"]


def always(strength):
    return (1.0, strength, strength)


def test_nothing_to_change_changes_nothing(scene):
    np.testing.assert_array_equal(apply(scene), scene)
    levels = scene + np.float32(0.25)
    np.testing.assert_array_equal(apply(levels), levels.clip(0, 255))


@pytest.mark.parametrize("effect", EFFECTS)
def test_each_effect_keeps_type_shape_and_equal_channels(scene, effect):
    options = {effect: always(STRONG[effect])}
    gray = apply(scene, **options)
    assert gray.dtype == np.uint8 and gray.shape == scene.shape
    assert (gray != scene).any()
    np.testing.assert_array_equal(apply(scene[..., None], **options)[..., 0], gray)
    three = apply(np.repeat(scene[..., None], 3, axis=2), **options)
    for channel in range(3):
        np.testing.assert_array_equal(three[..., channel], gray)
    levels = apply(scene.astype(np.float32), **options)
    assert levels.dtype == np.float32
    np.testing.assert_array_equal(np.rint(levels).astype(np.uint8), gray)
    assert levels.min() >= 0 and levels.max() <= 255


def test_float_levels_between_whole_ones_survive():
    ramp = np.linspace(100, 101, 64 * 64, dtype=np.float32).reshape(64, 64)
    out = apply(ramp, gain=always(1.5))
    assert len(np.unique(out)) > 1000
    np.testing.assert_allclose(out, ramp.mean() + 1.5 * (ramp - ramp.mean()), atol=1e-3)


def test_strengths_are_those_asked_for():
    ramp = np.tile(np.linspace(60, 190, 400, dtype=np.float32), (300, 1))
    for effect, expected in (("noise", 0.09), ("fixed_pattern", 0.1), ("columns", 0.1077)):
        added = apply(ramp, **{effect: always(0.1)}) - ramp
        assert added.std() == pytest.approx(expected * ramp.std(), rel=0.1), effect
    columns = (apply(ramp, columns=always(0.1)) - ramp).mean(axis=0)
    assert columns.std() == pytest.approx(0.1 * ramp.std(), rel=0.15)
    dead = apply(ramp, dead_pixels=always(0.02))
    assert np.isin(dead, (0, 255)).mean() == pytest.approx(0.02, rel=0.1)
    np.testing.assert_allclose(apply(ramp, offset=always(0.4)), ramp + 0.4 * ramp.std(), atol=1e-3)
    assert len(np.unique(apply(ramp, steps=always(16)))) == 16


def test_equalization_uses_the_whole_range_and_keeps_the_order(scene):
    dim = (scene // 8 + 60).astype(np.float32)
    out = apply(dim, equalization=always(1.0))
    assert out.std() > 3 * dim.std()
    order = np.argsort(dim, axis=None, kind="stable")
    assert (np.diff(out.ravel()[order]) >= 0).all()


def test_polarity_is_the_last_step(scene):
    np.testing.assert_array_equal(apply(scene, polarity=1.0), 255 - scene)
    np.testing.assert_array_equal(
        apply(scene, gain=always(0.5), polarity=1.0), 255 - apply(scene, gain=always(0.5))
    )


def test_probability_and_seed(scene):
    step = TRANSFORMS.build(dict(type="mmspec.InfraredSensor", **OFF, **{}))
    assert "polarity=0.0" in repr(step)
    often = [(apply(scene, seed, offset=(0.3, 0.5, 0.5)) != scene).any() for seed in range(200)]
    assert np.mean(often) == pytest.approx(0.3, abs=0.1)
    np.testing.assert_array_equal(
        apply(scene, 5, noise=always(0.1)), apply(scene, 5, noise=always(0.1))
    )
    assert (apply(scene, 5, noise=always(0.1)) != apply(scene, 6, noise=always(0.1))).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(blur=(0.5, -1, 1)), "blur=.*0 <= low"),
        (dict(gain=(1.5, 1, 1)), "gain="),
        (dict(noise=(0.5, 0.2, 0.1)), "noise="),
        (dict(dead_pixels=(0.5, 0, 2)), "dead_pixels="),
        (dict(steps=(0.5, 1, 8)), "steps="),
        (dict(offset=(0.5, 1)), "offset="),
        (dict(polarity=2), "polarity=2"),
    ],
)
def test_what_makes_no_sense_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        InfraredSensor(**options)


def test_other_images_are_refused():
    with pytest.raises(TypeError, match="uint16"):
        apply(np.zeros((8, 8), np.uint16))
    with pytest.raises(ValueError, match="channels of img differ"):
        apply(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
