import copy

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from mmspec.masking.cmss import Schedule
from mmspec.models.maskers import CMSSMasking
from mmspec.registry import MODELS

STEPS = 3


def tokens(batch: int = 4, num_patches: int = 196, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Pairs whose patches hold more or less structure."""
    generator = torch.Generator().manual_seed(seed)
    level = 0.3 + torch.rand(batch, num_patches, 1, generator=generator)
    shape = (batch, num_patches, 32)
    return tuple(level * torch.randn(shape, generator=generator) for _ in range(2))


def masking(**kwargs) -> CMSSMasking:
    torch.manual_seed(0)
    return CMSSMasking(**kwargs)


def visible(mask) -> list[set[int]]:
    return [set(row) for row in mask.ids_keep.tolist()]


def test_it_is_registered():
    assert isinstance(MODELS.build(dict(type="mmspec.CMSSMasking")), CMSSMasking)


def test_disjoint_patches_of_the_papers_number():
    infrared, rgb = masking()(*tokens())
    assert infrared.num_visible == rgb.num_visible == 19 and infrared.num_patches == 196
    for one, other in zip(visible(infrared), visible(rgb)):
        assert len(one) == len(other) == 19 and not one & other


@pytest.mark.parametrize(("shift", "expected"), [(3.9, (16, 22)), (-2.5, (21, 17)), (50, (10, 28))])
def test_a_modality_gives_patches_to_the_other(shift, expected):
    module = masking()
    module.schedule = Schedule((0.1, 0.2), shift)
    masks = module(*tokens())
    assert tuple(mask.num_visible for mask in masks) == expected
    assert not any(one & other for one, other in zip(*map(visible, masks)))


def test_low_targets_show_structure_and_high_ones_flat_patches():
    module, pair = masking(), tokens(16)
    for _ in range(20):
        module(*pair)
    seen = {}
    for centre in (0.0, 0.1, 0.5):
        module.schedule = Schedule((centre,))
        module(*pair)
        seen[centre] = module.statistics()["cmss_visible"].item()
    everything = module.statistics()["cmss_all"].item()
    assert everything == pytest.approx(module.scores(*pair).mean().item())
    assert seen[0.0] < seen[0.1] < seen[0.5]
    assert seen[0.0] < everything < seen[0.5]


def test_a_step_never_waits_for_the_device():
    """A fake tensor has no values: bringing one to the host raises."""
    with FakeTensorMode():
        module, pair = CMSSMasking(), (torch.randn(4, 196, 32), torch.randn(4, 196, 32))
        masks = module(*pair)
        module.update_losses(pair[0].mean(), pair[1].mean())
        assert [mask.ids_keep.shape for mask in masks] == [(4, 19), (4, 19)]
        with pytest.raises(DataDependentOutputException):
            module.statistics()["cmss_visible"].item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_step_on_a_gpu_never_waits_for_it():
    module, pair = masking().cuda(), [x.cuda() for x in tokens()]
    module(*pair)
    torch.cuda.set_sync_debug_mode("error")
    try:
        module(*pair)
        module.update_losses(pair[0].mean(), pair[1].mean())
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", ["constant", "black infrared", "one flat token", "one image"])
def test_finite_on_poor_input(kind):
    module, pair = masking(), tokens(1 if kind == "one image" else 3)
    poor = [x.clone() for x in pair]
    if kind == "constant":
        poor = [torch.full_like(x, 0.5) for x in pair]
    elif kind == "black infrared":
        poor[0] = torch.zeros_like(pair[0])
    elif kind == "one flat token":
        poor[0][0, 0] = poor[1][0, 0] = 0
    for _ in range(10):
        masks = module(*poor)
        assert all(buffer.isfinite().all() for buffer in module.buffers())
        assert module.statistics()["cmss_visible"].isfinite()
        assert not any(one & other for one, other in zip(*map(visible, masks)))
    for _ in range(20):
        module(*pair)
    assert module.weights.min() > 1e-3
    assert len(module.means.unique()) == 3


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", ["token", "image"])
def test_a_token_that_is_no_number_does_not_decide_the_masks_of_the_batch(bad, where):
    pair = tokens(4)
    poor = [x.clone() for x in pair]
    # Not the flattest patch, whose score is the unit of all.
    patch = masking().scores(*pair)[1].argmin() if where == "token" else slice(None)
    poor[0][1, patch] = bad
    results = []
    for infrared, rgb in (pair, poor):
        module = masking()
        results.append((module.scores(infrared, rgb), module))
        torch.manual_seed(3)
        results[-1] += (module(infrared, rgb),)
    (clean, _, masks), (scores, module, found) = results
    assert torch.equal(scores[[0, 2, 3]], clean[[0, 2, 3]])
    assert scores[1, patch].isnan().all()
    assert all(buffer.isfinite().all() for buffer in module.buffers())
    assert all(value.isfinite() for value in module.statistics().values())
    for mask, expected in zip(found, masks):
        # A score less moves the mixture, and with it the targets of all images, a little.
        shared = (mask.mask == expected.mask)[[0, 2, 3]].float().mean()
        assert shared > (0.9 if where == "token" else 0.7)
        assert (mask.mask.sum(1) == mask.mask.sum(1)[0]).all()
    assert not any(one & other for one, other in zip(*map(visible, found)))


def test_evaluation_leaves_the_state():
    module = masking()
    module(*tokens())
    before = copy.deepcopy(module.state_dict())
    module.eval()
    module(*tokens(seed=1))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_evaluation_scores_a_pair_as_training_did_alone_or_in_a_batch():
    module, pair = masking(), tokens()
    expected = module.scores(*pair)
    assert expected.max() == 1
    module.eval()
    assert torch.allclose(module.scores(*pair), expected)
    alone = module.scores(*(x[1:2] for x in pair))
    assert torch.allclose(alone, expected[1:2]) and alone.max() < 1
    untrained = masking().eval()
    assert untrained.scores(*(x[1:2] for x in pair)).max() == 1


def test_a_new_run_starts_the_schedule_anew_and_a_resumed_one_does_not():
    module = masking()
    run_epoch(module, 1)
    module.update_losses(torch.tensor(1.0), torch.tensor(2.0))
    reached, means = module.schedule, module.means.clone()
    module.begin_training(1)
    assert module.schedule == reached and module.loss_count == 1
    module.begin_training(0)
    assert module.schedule == Schedule() and module.loss_count == 0
    assert module.visible_patches(196) == (19, 19)
    assert torch.equal(module.means, means)


def test_tokens_get_no_gradient_and_may_be_half():
    infrared, rgb = (x.bfloat16().requires_grad_() for x in tokens(2, 16))
    module = masking(mask_ratio=0.75)
    assert module(infrared, rgb)[0].num_visible == 4
    assert not any(buffer.requires_grad for buffer in module.buffers())


def run_epoch(module: CMSSMasking, epoch: int, losses=(0.5, 0.75)) -> list[torch.Tensor]:
    torch.manual_seed(epoch)
    seen = []
    for step in range(STEPS):
        seen += [mask.ids_keep for mask in module(*tokens(seed=10 * epoch + step))]
        module.update_losses(*map(torch.tensor, losses))
    module.end_epoch(epoch, 6)
    return seen


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped():
    whole = masking()
    run_epoch(whole, 1)
    saved = copy.deepcopy(whole.state_dict())
    expected = [run_epoch(whole, epoch) for epoch in (2, 3)]

    resumed = CMSSMasking()
    resumed.load_state_dict(saved)
    assert resumed.visible_patches(196) == (17, 21)
    for epoch, ids in zip((2, 3), expected):
        assert all(torch.equal(*pair) for pair in zip(run_epoch(resumed, epoch), ids))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_mmengine_loads_the_state_too():
    from mmengine.runner.checkpoint import load_state_dict

    module, other = masking(), masking()
    run_epoch(module, 1)
    load_state_dict(other, module.state_dict(), strict=True)
    assert other.visible_patches(196) == (17, 21)
    assert other.schedule == module.schedule


def test_the_schedule_follows_mean_losses_and_forgets_them():
    module = masking()
    module(*tokens())
    for rgb in (0.5, 0.7):
        module.update_losses(torch.tensor(0.5), torch.tensor(rgb))
    schedule = module.end_epoch(1, 10)
    assert schedule.keep_shift == pytest.approx(1.0)
    assert schedule.target_shift == pytest.approx(0.01)
    assert schedule.centres == pytest.approx((module.means.sum().item() / 4,))
    assert schedule == module.schedule
    with pytest.raises(RuntimeError, match="no finite losses of epoch 2"):
        module.end_epoch(2, 10)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_step_with_a_loss_that_is_not_finite_does_not_count(bad):
    module = masking()
    module(*tokens())
    module.update_losses(torch.tensor(bad), torch.tensor(9.0))
    module.update_losses(torch.tensor(0.5), torch.tensor(0.6))
    assert module.end_epoch(1, 10).keep_shift == pytest.approx(1.0)


def test_overlapping_visible_sets_are_refused():
    with pytest.raises(ValueError, match=r"mask_ratio=0.4 is outside \[0.5, 1\)"):
        CMSSMasking(mask_ratio=0.4)


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    module = masking()
    module.means += rank  # as with seeds that differ by rank
    module.begin_training(0)
    for epoch in (1, 2):
        for step in range(STEPS):
            module(*(x[2 * rank : 2 * rank + 2] for x in tokens(seed=10 * epoch + step)))
            module.update_losses(torch.tensor(0.5 + rank), torch.tensor(0.7 + rank))
        module.end_epoch(epoch, 6)
    torch.save(module.state_dict(), f"{folder}/{rank}.pth")
    torch.distributed.destroy_process_group()


def test_two_processes_agree_with_each_other_and_with_one_on_the_joint_batch(tmp_path):
    # Forked: the libraries are not imported anew, which would take most of the time.
    context = torch.multiprocessing.start_processes(
        _rank, (str(tmp_path),), nprocs=2, join=False, start_method="fork"
    )
    try:
        assert any(context.join(timeout=30) for _ in range(3)), "the processes hang"
    finally:
        for process in context.processes:
            process.kill()
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in (0, 1))
    module = masking()
    for epoch in (1, 2):
        run_epoch(module, epoch, (1.0, 1.2))
    assert first.keys() == second.keys() == module.state_dict().keys()
    for name, value in module.state_dict().items():
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name].double(), value.double(), rtol=1e-4, atol=1e-6), name
