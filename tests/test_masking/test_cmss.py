"""The parts of CMSS masking, each by its definition."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mmspec.masking.cmss import (
    MIN_TOKEN_VARIANCE,
    Mixture,
    Schedule,
    advance_schedule,
    choose_nearest,
    draw_targets,
    has_triton,
    largest_keep_shift,
    mixture_statistics,
    random_mixture,
    structural_sparsity,
    target_distribution,
    updated_mixture,
    visible_count,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(means, variances, weights) -> Mixture:
    return Mixture(*(torch.tensor(x, dtype=torch.float64) for x in (means, variances, weights)))


# The metric


def test_metric_by_its_formula():
    x, y = (torch.randn(2, 5, 32, generator=generator(i)) + 0.5 for i in (0, 1))
    cosine = torch.cosine_similarity(x.double(), y.double(), dim=-1)
    likeness = ((1 + cosine) / 2).sqrt()
    var_x, var_y = x.double().var(-1), y.double().var(-1)
    both = structural_sparsity(x, y)
    assert both.shape == (2, 5) and both.dtype == torch.float32
    assert torch.allclose(both.double(), likeness / (var_x * var_y), rtol=1e-5)
    first = structural_sparsity(x, y, "first")
    assert torch.allclose(first.double(), likeness / var_x.square(), rtol=1e-5)


def test_both_variances_see_structure_that_only_rgb_has():
    x, y = (torch.randn(1, 1, 64, generator=generator(i)) for i in (0, 1))
    x, y = torch.cat([x, x], 1), torch.cat([y, 3 * y], 1)
    assert structural_sparsity(x, y)[0, 1] < structural_sparsity(x, y)[0, 0] / 5
    assert torch.allclose(*structural_sparsity(x, y, "first")[0])


@pytest.mark.parametrize("value", [0.0, 1.0, -100.0])
def test_metric_of_constant_tokens_is_finite(value):
    constant, noise = torch.full((1, 3, 16), value), torch.randn(1, 3, 16, generator=generator())
    for pair in ((constant, constant), (constant, noise), (noise, constant), (noise, -noise)):
        scores = structural_sparsity(*pair)
        assert scores.isfinite().all() and (scores >= 0).all()
        assert scores.max() <= 1 / MIN_TOKEN_VARIANCE**2


def test_metric_is_float32_under_autocast_and_for_half_tokens():
    x, y = (torch.randn(2, 4, 64, generator=generator(i)) for i in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(structural_sparsity(x, y), structural_sparsity(x, y))
        inside = structural_sparsity(x, y)
    assert torch.equal(inside, structural_sparsity(x, y))
    half = structural_sparsity(x.bfloat16(), y.bfloat16())
    assert torch.equal(half, structural_sparsity(x.bfloat16().float(), y.bfloat16().float()))


def test_metric_refuses_what_does_not_fit():
    tokens = torch.zeros(2, 4, 8)
    with pytest.raises(ValueError, match=r"variance='second'"):
        structural_sparsity(tokens, tokens, "second")
    with pytest.raises(ValueError, match=r"infrared \(2, 4, 8\) and visible \(1, 4, 8\)"):
        structural_sparsity(tokens, tokens[:1])


# The mixture


def textbook_step(values, means, variances, weights):
    density = np.exp(-((values[:, None] - means) ** 2) / 2 / variances)
    density *= weights / np.sqrt(2 * np.pi * variances)
    shares = density / density.sum(1, keepdims=True)
    counts = shares.sum(0)
    means = (shares * values[:, None]).sum(0) / counts
    variances = (shares * (values[:, None] - means) ** 2).sum(0) / counts
    return means, variances, counts / len(values)


def test_steps_of_the_mixture_by_the_textbook():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.1, 0.02, 500), rng.normal(0.6, 0.1, 300)]).clip(0, 1)
    expected = (np.array([0.2, 0.5, 0.9]), np.ones(3), np.ones(3) / 3)
    found = mixture(*expected)
    for _ in range(20):
        expected = textbook_step(values, *expected)
        found = updated_mixture(found, mixture_statistics(torch.from_numpy(values), found))
        for ours, theirs in zip(found, expected):
            assert np.allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-12)
    assert found.means.min() == pytest.approx(0.1, abs=0.01)


def test_statistics_of_parts_add_up():
    values = torch.rand(4, 50, generator=generator(), dtype=torch.float64)
    start = mixture([0.1, 0.4, 0.6], [0.1, 0.2, 0.1], [0.2, 0.3, 0.5])
    parts = sum(mixture_statistics(part, start) for part in values.split(1))
    assert torch.allclose(parts, mixture_statistics(values, start))


def test_a_narrow_component_keeps_its_variance_in_float32():
    values = 0.7 + 1e-4 * torch.randn(10_000, generator=generator())
    start = Mixture(torch.tensor([0.7]), torch.tensor([1e-8]), torch.ones(1))
    found = updated_mixture(start, mixture_statistics(values, start))
    assert found.variances.item() == pytest.approx(values.double().var().item(), rel=1e-2)


def test_a_dead_component_starts_anew():
    values = torch.linspace(0, 1, 101)
    start = Mixture(
        torch.tensor([0.5, 30.0, 30.0]), torch.tensor([0.1, 1e-4, 1e-4]), torch.ones(3) / 3
    )
    found = updated_mixture(start, mixture_statistics(values, start))
    spread = values.var(unbiased=False)
    assert found.means.tolist() == pytest.approx([0.5, 0.5, 0.5 + spread.sqrt().item()], abs=1e-5)
    assert found.variances[1:].tolist() == pytest.approx([spread.item()] * 2, rel=1e-4)
    assert found.weights.tolist() == pytest.approx([0.6, 0.2, 0.2], abs=1e-5)


@pytest.mark.parametrize("spread", [0, 1e-5, 2e-3, 1e-2])
def test_the_mixture_recovers_after_batches_of_almost_equal_values(spread):
    torch.manual_seed(0)
    state = random_mixture(3)
    for _ in range(50):
        values = 1 - spread * torch.rand(64)
        state = updated_mixture(state, mixture_statistics(values, state))
        assert all(x.isfinite().all() for x in state) and (state.variances > 0).all()
    values = torch.cat([torch.rand(300) * 0.1, 0.6 + torch.rand(300) * 0.1])
    for _ in range(150):  # from a random start it takes 75
        state = updated_mixture(state, mixture_statistics(values, state))
    assert state.means.min() < 0.1 and state.means.max() > 0.6
    assert state.weights.min() > 1e-3 and state.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("other", [torch.nan, torch.inf, 1.0])
def test_values_that_tell_nothing_leave_the_mixture_as_it_is(other):
    start = random_mixture(3)
    values = torch.tensor([1.0, other, 1.0])
    found = updated_mixture(start, mixture_statistics(values, start))
    assert all(torch.equal(*pair) for pair in zip(found, start))


def test_values_that_are_not_finite_have_no_part_in_the_mixture():
    torch.manual_seed(0)
    start, values = random_mixture(3), torch.rand(64)
    poor = torch.cat([torch.tensor([torch.nan, torch.inf]), values])
    assert torch.allclose(mixture_statistics(poor, start), mixture_statistics(values, start))


# Targets


def test_distribution_reads_variances_between_means_and_weights_by_rank():
    fitted = mixture([0.4, 0.1, 0.2], [0.08, 0.02, 0.04], [0.5, 0.2, 0.3])
    centres = torch.tensor([0.05, 0.3, 0.7], dtype=torch.float64)
    shift = torch.zeros((), dtype=torch.float64)
    found = target_distribution(fitted, centres, torch.tensor(3), shift)
    assert found.means.tolist() == [0.05, 0.3, 0.7]
    assert found.variances.tolist() == pytest.approx([0.015, 0.06, 0.08])
    assert found.weights.tolist() == pytest.approx([0.2, 0.3, 0.5])
    found = target_distribution(fitted, centres, torch.tensor(2), shift - 0.1)
    assert found.variances.tolist()[:2] == pytest.approx([0.01, 0.04])
    assert found.weights.tolist() == pytest.approx([0.4, 0.6, 0])


def test_equal_means_interpolate_without_a_division_by_zero():
    fitted = mixture([0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.4, 0.3, 0.3])
    found = target_distribution(
        fitted, torch.zeros(3).double(), torch.tensor(3), torch.zeros(()).double()
    )
    assert found.variances.isfinite().all() and (found.variances > 0).all()


def test_shuffled_targets_mix_the_components_inside_each_image():
    torch.manual_seed(0)
    narrow = mixture([0.0, 1.0, 2.0], [1e-12] * 3, [0.25, 0.5, 0.25])
    targets = draw_targets(narrow, torch.tensor(3), 50, 16, 16).round()
    counts = torch.stack([(targets == i).sum(1) for i in range(3)], 1)
    assert counts.tolist() == [[4, 8, 4]] * 50
    assert len(targets.unique(dim=0)) > 40
    few = draw_targets(narrow, torch.tensor(3), 2000, 16, 4)
    assert few.shape == (2000, 4)
    assert few.mean().item() == pytest.approx(1, abs=0.05)


def test_released_targets_go_component_after_component():
    narrow = mixture([0.0, 1.0, 9.0], [1e-12] * 3, [0.6, 0.4, 0.0])
    targets = draw_targets(narrow, torch.tensor(2), 2, 5, 5, shuffle=False).round()
    assert targets.tolist() == [[0] * 5, [0, 1, 1, 1, 1]]
    assert draw_targets(narrow, torch.tensor(2), 2, 5, 1, shuffle=False).shape == (2, 1)


def test_targets_have_the_variance_of_their_component():
    torch.manual_seed(0)
    wide = mixture([0.3, 0, 0], [0.04, 1, 1], [1, 0, 0])
    targets = draw_targets(wide, torch.tensor(1), 1000, 20, 20)
    assert targets.mean().item() == pytest.approx(0.3, abs=0.01)
    assert targets.var().item() == pytest.approx(0.04, rel=0.05)


# The choice


def test_nearest_patch_that_is_not_taken():
    scores = torch.tensor([[0.1, 0.2, 0.9, 0.5]])
    targets = torch.tensor([[0.18, 0.19, 0.95, 2.0]])
    assert choose_nearest(scores, targets).tolist() == [[1, 0, 2, 3]]


@pytest.mark.parametrize("levels", [None, 7])
def test_choice_equals_the_sequential_definition(levels):
    scores = torch.rand(6, 40, generator=generator())
    targets = torch.randn(6, 30, generator=generator(1)) * 0.3 + 0.4
    if levels:  # many ties
        scores, targets = (scores * levels).round() / levels, (targets * levels).round() / levels
    found = choose_nearest(scores, targets)
    for image in range(6):
        free = list(range(40))
        for target, patch in zip(targets[image], found[image].tolist()):
            distances = {i: (scores[image, i] - target).abs().item() for i in free}
            assert distances[patch] == min(distances.values())
            free.remove(patch)


KERNEL = """
import torch
from mmspec.masking import choose_nearest
from mmspec.masking.nearest_kernel import choose_nearest_at_once
for patches, visible, levels in ((196, 38, 0), (40, 40, 7), (1, 1, 0)):
    generator = torch.Generator().manual_seed(patches)
    scores, targets = torch.rand(2, 3, patches, generator=generator)
    targets = targets[:, :visible] * 1.4 - 0.2
    if levels:  # many ties
        scores, targets = (scores * levels).round() / levels, (targets * levels).round() / levels
    assert torch.equal(choose_nearest_at_once(scores, targets), choose_nearest(scores, targets))
"""


@pytest.mark.skipif(not has_triton(), reason="Triton 3 is not installed")
def test_the_kernel_of_a_gpu_makes_the_same_choice():
    """Interpreted, as no GPU is needed for that; Triton reads the switch when it is imported."""
    command = [sys.executable, "-c", KERNEL]
    subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, check=True)


def test_choice_of_scores_without_numbers_is_still_distinct():
    found = choose_nearest(torch.full((2, 6), torch.nan), torch.zeros(2, 6))
    assert found.sort(1).values.tolist() == [list(range(6))] * 2


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_patches_without_a_score_are_taken_last(bad):
    scores = torch.tensor([[bad, 0.2, bad, 0.5], [0.1, 0.2, 0.9, 0.5]])
    found = choose_nearest(scores, torch.zeros(2, 3))
    assert found.tolist() == [[1, 3, 0], [0, 1, 3]]


def test_more_targets_than_patches():
    with pytest.raises(ValueError, match="5 targets for 4 patches"):
        choose_nearest(torch.zeros(1, 4), torch.zeros(1, 5))


# The schedule

MEANS = (0.5, 0.05, 0.2)


@pytest.mark.parametrize(
    ("num_patches", "ratio", "keep", "shift"),
    [(196, 0.9, 19, 9), (100, 0.9, 10, 5), (196, 0.75, 49, 39), (16, 0.9, 1, 0), (4, 0.9, 1, 0),
     (196, 0.97, 5, 0), (20, 0.5, 10, 9)],
)  # fmt: skip
def test_numbers_of_visible_patches(num_patches, ratio, keep, shift):
    assert visible_count(num_patches, ratio=ratio) == keep
    assert largest_keep_shift(num_patches, ratio) == shift


def test_first_half():
    found = advance_schedule(Schedule(), MEANS, 0.02, 1, 100, 9)
    assert found.centres == pytest.approx((0.75 / 49,))
    assert found.keep_shift == pytest.approx(0.2)
    assert found.target_shift == pytest.approx(0.002)
    # Past the mean of its rank a centre is fixed there and the next one starts.
    found = advance_schedule(Schedule((0.06,)), MEANS, 0, 10, 100, 9)
    assert found.centres == pytest.approx((0.05, 0.7 / 40))
    # The last one has no successor and moves back.
    found = advance_schedule(Schedule((0.05, 0.2, 0.6)), MEANS, 0, 40, 100, 9)
    assert found.centres == pytest.approx((0.05, 0.2, 0.59))


def test_second_half():
    found = advance_schedule(Schedule((0.05, 0.2, 0.4)), MEANS, 0, 50, 100, 9)
    assert found.centres == pytest.approx((0.05, 0.2 + (1.5 - 0.75) / 51, 0.5))
    found = advance_schedule(Schedule((0.05, 0.6, 0.4)), MEANS, 0, 91, 100, 9)
    assert found.centres == pytest.approx((0.05 + (1.5 - 1.15) / 10, 0.6, 0.5))
    found = advance_schedule(Schedule((0.6, 0.6, 0.4)), MEANS, 0, 91, 100, 9)
    assert found.centres == pytest.approx((0.6, 0.6, 0.5))


def test_shifts_are_bounded_in_both_directions():
    for sign in (1, -1):
        before = Schedule((0.0,), 8.9 * sign, 0.0999 * sign)
        found = advance_schedule(before, MEANS, sign, 1, 100, 9)
        assert found.keep_shift == 9 * sign and found.target_shift == 0.1 * sign


@pytest.mark.parametrize("max_epochs", [1, 2, 3, 5, 20, 100, 101])
def test_any_number_of_epochs_goes_from_low_to_high(max_epochs):
    schedule, averages = Schedule(), []
    for finished in range(1, max_epochs + 1):
        schedule = advance_schedule(schedule, MEANS, 0.0, finished, max_epochs, 9)
        averages.append(np.mean(schedule.centres))
    assert np.isfinite(averages).all()
    assert schedule.centres[-1] == max(MEANS)
    assert len(schedule.centres) <= 3
    if max_epochs >= 20:
        quarters = [np.mean(quarter) for quarter in np.array_split(averages, 4)]
        assert quarters == sorted(quarters) and quarters[3] > 2 * quarters[0]
    # Beyond its end, as after an epoch too many.
    assert advance_schedule(schedule, MEANS, 0.0, max_epochs + 5, max_epochs, 9).centres[-1] == 0.5
