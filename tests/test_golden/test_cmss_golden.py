"""Nine consecutive calls of the released sampler, three to an epoch of one hundred."""

import numpy as np
import pytest
import torch

import mmspec.masking.cmss as cmss
from mmspec.masking.cmss import (
    Mixture,
    choose_nearest,
    mixture_statistics,
    structural_sparsity,
    updated_mixture,
)
from mmspec.models.maskers import CMSSMasking

CALLS = range(9)


@pytest.fixture(scope="module")
def recorded(golden_root) -> dict[str, torch.Tensor]:
    path = golden_root / "mspecgene_sampler.npz"
    return {name: torch.from_numpy(value) for name, value in np.load(path).items()}


def mixture_after(recorded, call: int) -> Mixture:
    if call < 0:
        means = recorded["init_means"]
        return Mixture(means, torch.ones_like(means), torch.ones_like(means) / 3)
    names = ("gmm_means", "gmm_vars", "gmm_weights")
    return Mixture(*(recorded[f"call{call}_{name}"] for name in names))


@pytest.mark.parametrize("call", CALLS)
def test_metric(recorded, call):
    x1, x2 = recorded[f"call{call}_x1"], recorded[f"call{call}_x2"]
    scores = structural_sparsity(x1, x2, "first")
    expected = recorded[f"call{call}_cmss"]
    assert torch.allclose(scores / scores.max(), expected, rtol=1e-5, atol=1e-7)
    both = structural_sparsity(x1, x2)
    assert not torch.allclose(both / both.max(), expected, atol=0.1)


@pytest.mark.parametrize("call", CALLS)
def test_one_step_of_the_mixture(recorded, call):
    before = mixture_after(recorded, call - 1)
    found = updated_mixture(before, mixture_statistics(recorded[f"call{call}_cmss"], before))
    for ours, theirs in zip(found, mixture_after(recorded, call)):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("call", CALLS)
def test_choice(recorded, call):
    targets = [recorded[f"call{call}_noise{i}"][:, :19] for i in (1, 2)]
    ids = choose_nearest(recorded[f"call{call}_cmss"], torch.cat(targets, 1))
    assert torch.equal(ids[:, :19], recorded[f"call{call}_ids_keep1"])
    assert torch.equal(ids[:, 19:], recorded[f"call{call}_ids_keep2"])


def test_the_module_over_all_calls(recorded, monkeypatch):
    """Tokens in, masks out, with nothing but the first means and the random numbers given."""
    masking = CMSSMasking(mask_ratio=0.9, variance="first")
    masking.means.copy_(recorded["init_means"])
    for call in CALLS:
        drawn = iter([recorded[f"call{call}_noise{i}"][:, :19] for i in (1, 2)])
        monkeypatch.setattr(cmss, "draw_targets", lambda *_, drawn=drawn: next(drawn))
        masks = masking(recorded[f"call{call}_x1"], recorded[f"call{call}_x2"])
        for i, mask in enumerate(masks, 1):
            assert torch.equal(mask.ids_keep, recorded[f"call{call}_ids_keep{i}"])
        for ours, theirs in zip(masking.mixture, mixture_after(recorded, call)):
            assert torch.allclose(ours.double(), theirs, rtol=1e-4, atol=1e-6)

        epoch = int(recorded[f"call{call}_epoch_after"])
        if epoch > masking_epoch(recorded, call - 1):
            # The released code compares the losses of an epoch's last step.
            losses = (recorded[f"call{call}_loss{i}"] for i in (1, 2))
            masking.update_losses(*losses)
            masking.end_epoch(epoch, 100)
        schedule = masking.schedule
        expected = recorded[f"call{call}_sample_range_after"].tolist()
        assert schedule.centres == pytest.approx(expected, abs=1e-6)
        bias = float(recorded[f"call{call}_maskratio_bias_after"])
        assert schedule.keep_shift == pytest.approx(bias, abs=1e-6)
        bias = float(recorded[f"call{call}_target_bias_after"])
        assert schedule.target_shift == pytest.approx(bias, abs=1e-8)
    assert len(schedule.centres) == 2


def masking_epoch(recorded, call: int) -> int:
    return int(recorded[f"call{call}_epoch_after"]) if call >= 0 else 0
