"""Masks that are drawn: phase, order by temperature, noise."""

import pytest
import torch

from mmspec.masking import NOISES, SCORES, InformationMasking

STRIDE = 4


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (6, 1, 224, 224), dtype=torch.uint8)


def sets(kept: torch.Tensor) -> list[set[int]]:
    return [set(row) for row in kept.tolist()]


def test_a_drawn_phase_is_one_of_all_for_each_image_alone(images):
    images = images[:1].repeat(40, 1, 1, 1)
    every = sets(InformationMasking(ranks="all")(images[:1])[0])
    drawn = sets(InformationMasking(ranks="drawn")(images))
    assert all(kept in every for kept in drawn)
    assert all(kept in drawn for kept in every)


def test_the_top_is_the_highest_scores_or_the_lowest(images):
    scores = SCORES["entropy"](images)
    for order, largest in (("descending", True), ("ascending", False)):
        kept = InformationMasking("entropy", order=order, ranks="top")(images)
        assert kept.shape == (6, 49)
        expected = scores.topk(49, largest=largest).values.sort(1).values
        assert torch.equal(scores.gather(1, kept).sort(1).values, expected)


@pytest.mark.parametrize("order", ["descending", "ascending"])
@pytest.mark.parametrize("ranks", ["first", "top"])
def test_temperature_leads_from_the_ranks_to_a_random_mask(images, ranks, order):
    """Share of the patches of temperature 0 that are among those drawn; a quarter by chance."""
    options = dict(ranks=ranks, order=order)
    images = images.repeat(20, 1, 1, 1)
    coldest = sets(InformationMasking(**options)(images))
    shares = []
    for temperature in (1e-6, 0.5, 1000.0):
        drawn = sets(InformationMasking(**options, temperature=temperature)(images))
        shares.append(sum(len(a & b) for a, b in zip(coldest, drawn)) / 49 / len(images))
    assert shares[0] > 0.95
    assert shares[2] == pytest.approx(0.25, abs=0.02)
    if ranks == "top":
        assert 0.3 < shares[1] < 0.9


def test_the_first_of_a_drawn_order_follows_the_softmax_of_the_scores():
    """Gumbel top-k: a patch comes first as often as its share of exp(score / temperature)."""
    image = torch.tensor([0.0, 1, 2]).repeat_interleave(16).expand(1, 1, 16, 48)
    masking = InformationMasking(stride=3, ranks="top", temperature=2.0)
    torch.manual_seed(0)
    first = masking(image.expand(40_000, -1, -1, -1))[:, 0]
    shares = first.bincount(minlength=3) / len(first)
    # Scores in standard deviations (here 1) about their mean.
    expected = (torch.tensor([-1.0, 0, 1]) / 2).softmax(0)
    assert torch.allclose(shares, expected, atol=0.01)


def test_an_even_image_has_a_random_order(images):
    kept = InformationMasking(temperature=0.1)(torch.zeros_like(images))
    assert len({tuple(row) for row in kept.tolist()}) == 6


@pytest.mark.parametrize("ranks", ["first", "drawn", "all", "top"])
@pytest.mark.parametrize("score", [*NOISES, "entropy"])
def test_draws_follow_torchs_generator_and_are_distinct_patches(images, score, ranks):
    masking = InformationMasking(score, STRIDE, ranks=ranks, temperature=0.5)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(masking(images))
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], masking(images))
    assert draws[0].shape == ((6, STRIDE, 49) if ranks == "all" else (6, 49))
    for row in draws[0].flatten(1).tolist():
        assert len(set(row)) == len(row)


def test_noise_looks_at_no_pixel(images):
    for score in NOISES:
        torch.manual_seed(3)
        expected = InformationMasking(score)(images)
        torch.manual_seed(3)
        assert torch.equal(InformationMasking(score)(images.float() * torch.nan), expected)


def test_green_noise_has_neither_the_lowest_nor_the_highest_frequencies():
    torch.manual_seed(0)
    images = torch.zeros(400, 1, 16, 16)[:, :, :1, :1].expand(-1, -1, 256, 256)
    power = {
        name: torch.fft.rfft2(noise(images).view(-1, 16, 16)).abs().square().mean(0)
        for name, noise in NOISES.items()
    }
    share = {name: p / p.flatten()[1:].mean() for name, p in power.items()}
    # Waves of four to eight patches against the finest, of two, and against the mean of a crop.
    assert share["green"][2:5, 2:5].mean() > 20 * share["green"][7:9, 7:9].mean()
    assert share["green"][2, 2] > 5 * share["green"][0, 0]
    middle, finest = share["white"][2:5, 2:5].mean(), share["white"][7:9, 7:9].mean()
    assert middle.item() == pytest.approx(finest.item(), rel=0.2)


@pytest.mark.parametrize(("score", "more"), [("green", True), ("white", False)])
def test_the_top_of_green_noise_lies_in_lumps(images, score, more):
    """How many of the four neighbours of a visible patch are visible; one by chance."""
    images = images.repeat(20, 1, 1, 1)
    kept = InformationMasking(score, ranks="top")(images)
    visible = torch.zeros(len(images), 196).scatter(1, kept, 1.0).view(-1, 14, 14)
    pairs = visible[:, 1:] * visible[:, :-1], visible[:, :, 1:] * visible[:, :, :-1]
    share = sum(p.mean() for p in pairs).item() / 2 / 0.25
    assert share > 0.5 if more else share == pytest.approx(0.25, abs=0.03)


def test_a_stride_that_leaves_nothing_is_named(images):
    for ranks in ("first", "top"):
        with pytest.raises(ValueError, match="stride=197 is outside 1..196"):
            InformationMasking(stride=197, ranks=ranks)(images)
