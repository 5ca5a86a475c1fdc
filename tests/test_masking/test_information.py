import pytest
import torch
import torch.nn.functional as F

from mmspec.masking import SCORES, InformationMasking, grid_of, projection
from mmspec.masking.information import deviation, entropy, intensity, variance


def test_intensity_is_the_mean_gray_of_each_patch():
    image = torch.zeros(1, 1, 32, 48)
    image[..., :16, 16:32] = 100
    image[..., 16, 0] = 256
    assert intensity(image).tolist() == [[0, 100, 0, 1, 0, 0]]


def test_variance_of_two_levels():
    image = torch.zeros(1, 1, 16, 32)
    image[..., ::2, 16:] = 10
    assert variance(image).tolist() == [[0, 25]]


def test_deviation_is_the_mean_distance_from_the_median_of_the_image():
    image = torch.full((2, 1, 32, 48), 10)
    image[0, 0, :16, :16] = 110
    image[0, 0, 16:, 32:] = 4
    image[1, 0, :, 24:] = 20  # half and half: the median lies between the two
    expected = [[100, 0, 0, 0, 0, 6], [5, 5, 5, 5, 5, 5]]
    assert deviation(image).tolist() == expected


@pytest.mark.parametrize("name", ["variance", "entropy", "deviation"])
def test_an_image_and_its_inverse_score_alike(name):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 64, 80), generator=generator, dtype=torch.uint8)
    images[:, :, :32, :40] //= 16  # a dark, even corner
    assert torch.allclose(SCORES[name](images), SCORES[name](255 - images), rtol=1e-6)
    if (
        name != "entropy"
    ):  # sums of whole levels are exact, those of logarithms in another order not
        kept = [InformationMasking(name)(x) for x in (images[:, :1], 255 - images[:, :1])]
        assert torch.equal(*kept)


def test_intensity_keeps_no_patch_of_an_image_in_its_inverse():
    # Ranks 0, 4, 8, ... of one order are ranks 3, 7, ... of the other.
    images = torch.arange(196).view(1, 1, 14, 14).repeat_interleave(16, 2).repeat_interleave(16, 3)
    kept = [InformationMasking("intensity")(x)[0].tolist() for x in (images, 255 - images)]
    assert not set(kept[0]) & set(kept[1])


@pytest.mark.parametrize("levels", [1, 2, 4, 256])
def test_entropy_of_equally_frequent_levels_is_log2(levels):
    image = (torch.arange(256) % levels).view(1, 1, 16, 16)
    assert entropy(image).item() == pytest.approx(torch.tensor(float(levels)).log2().item())


def test_entropy_matches_a_histogram_count():
    image = torch.randint(0, 9, (2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    scores = entropy(image.to(torch.uint8))
    for b in range(2):
        for i in range(4):
            patch = image[b, 0, i // 2 * 16 : i // 2 * 16 + 16, i % 2 * 16 : i % 2 * 16 + 16]
            p = torch.bincount(patch.flatten()).double() / 256
            expected = -(p[p > 0] * p[p > 0].log2()).sum()
            assert scores[b, i].item() == pytest.approx(expected.item(), abs=1e-5)


def test_channels_are_averaged():
    image = torch.randint(0, 86, (1, 3, 32, 32)) * 3
    for score in SCORES.values():
        gray = image.float().mean(1, keepdim=True)
        assert torch.allclose(score(image), score(gray), atol=1e-3)
        assert not torch.allclose(score(image), score(image[:, :1]), atol=1e-3)


def test_projection_ranks_like_the_mean_over_a_convolution():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 64, 48, generator=generator)
    weight = torch.randn(20, 3, 16, 16, generator=generator)
    bias = torch.randn(20, generator=generator)
    whole = F.conv2d(images, weight, bias, stride=16).mean(1).flatten(1)
    assert torch.allclose(projection(images, weight.mean(0)) + bias.mean(), whole, atol=1e-4)


def test_projection_is_exact_whatever_the_device_makes_of_float32():
    images, kernel = torch.randn(2, 3, 64, 48), torch.randn(3, 16, 16)
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).double()
    exact = (patches * kernel[None, :, None, None]).sum((1, 4, 5)).flatten(1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(projection(images, kernel), exact.float())


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_and_equal_on_a_black_image(name):
    scores = SCORES[name](torch.zeros(2, 1, 48, 32, dtype=torch.uint8))
    assert scores.dtype == torch.float32
    assert torch.equal(scores, torch.zeros(2, 6))


def test_patch_size_must_divide():
    assert grid_of(48, 64, 16) == (3, 4)
    for name, value in (("stride", 2.5), ("stride", 0), ("patch_size", 0)):
        with pytest.raises(ValueError, match=f"{name}={value}: a whole number from 1"):
            InformationMasking(**{name: value})
    with pytest.raises(ValueError, match="48x60 image does not divide into 16x16"):
        grid_of(48, 60, 16)
    with pytest.raises(ValueError, match="30x32"):
        intensity(torch.zeros(1, 1, 30, 32))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", SCORES)
def test_a_pixel_that_is_no_number_touches_its_own_image_alone(name, bad):
    images = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    broken = images.clone()
    broken[1, 0, 5, 5] = bad
    expected, found = (InformationMasking(name)(x) for x in (images, broken))
    assert torch.equal(found[::2], expected[::2])
    assert len(found[1].unique()) == len(found[1])


@pytest.mark.parametrize("name", SCORES)
def test_eight_bits_and_floats_score_alike(name):
    levels = torch.randint(0, 256, (2, 1, 64, 48), dtype=torch.uint8)
    levels[:, :, :16] //= 100
    expected = SCORES[name](levels)
    for other in (levels.float(), levels.double().expand(-1, 3, -1, -1), levels.int()):
        assert torch.allclose(SCORES[name](other), expected, rtol=1e-6)


def test_variance_of_a_small_contrast_on_a_bright_patch():
    images = 250 + 1e-3 * torch.randn(1, 3, 16, 32, dtype=torch.float64)
    gray = images.mean(1)
    expected = [gray[0, :, :16].var(unbiased=False), gray[0, :, 16:].var(unbiased=False)]
    assert torch.allclose(variance(images)[0].double(), torch.stack(expected), rtol=1e-3)


def test_wrong_options_are_named():
    for options, message in (
        (dict(score="heat"), "score='heat': intensity, variance, entropy, deviation, white, green"),
        (dict(order="up"), "order='up': descending, ascending"),
        (dict(ranks="last"), "ranks='last': first, drawn, all, top"),
        (dict(temperature=-1), "temperature=-1: 0 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            InformationMasking(**options)
    with pytest.raises(TypeError, match="mask_ratio"):
        InformationMasking(mask_ratio=0.75)
