import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.runner import IterBasedTrainLoop

from mmspec.datasets.repeatable import RepeatableSamplesMixin, isolated_random
from mmspec.engine import RepeatableEpochsHook


class Draws(RepeatableSamplesMixin, BaseDataset):
    """Each sample is three random numbers, one of each generator."""

    def load_data_list(self):
        return [dict(index=i) for i in range(4)]

    def prepare_data(self, idx):
        return random.random(), np.random.rand(), torch.rand(()).item()


def draws(seed, epoch, order=(0, 1, 2, 3)) -> dict:
    dataset = Draws()
    dataset.set_epoch(seed, epoch)
    return {i: dataset[i] for i in order}


def test_a_sample_depends_on_seed_epoch_and_index_alone():
    first = draws(0, 5)
    assert first == draws(0, 5, order=(3, 1, 0, 2))
    assert len({*first.values()}) == 4
    assert not {*first.values()} & {*draws(0, 6).values()}
    assert not {*first.values()} & {*draws(1, 5).values()}


def test_the_generators_of_the_process_are_put_back():
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    expected = random.random(), np.random.rand(), torch.rand(()).item()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    draws(3, 4)
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_without_an_epoch_samples_follow_the_process():
    torch.manual_seed(0)
    dataset = Draws()
    assert dataset[0] != dataset[0]


def test_isolated_random_survives_an_error():
    state = torch.get_rng_state()
    with pytest.raises(KeyError), isolated_random(1):
        {}[torch.rand(3)]
    assert torch.equal(state, torch.get_rng_state())


def test_persistent_workers_see_the_epoch_change():
    dataset = Draws()
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=1, persistent_workers=True
    )
    dataset.set_epoch(0, 0)
    epochs = [[tuple(sample) for sample in loader]]
    dataset.set_epoch(0, 1)
    epochs.append([tuple(sample) for sample in loader])
    assert epochs == [list(draws(0, 0).values()), list(draws(0, 1).values())]


def test_hook_seeds_rank_epoch_and_wrapped_data_sets():
    inner = Draws()
    run = SimpleNamespace(
        seed=7, epoch=3, train_dataloader=SimpleNamespace(dataset=ConcatDataset([inner]))
    )
    values = []
    for run.epoch in (3, 4, 3):
        hook = RepeatableEpochsHook()
        hook.before_train_epoch(run)
        hook.before_train_iter(run, 0)
        values.append((torch.rand(()).item(), random.random(), np.random.rand(), inner[0]))
    assert values[0] == values[2]
    assert all(a != b for a, b in zip(values[0], values[1]))


def test_iteration_based_runs_are_refused():
    run = SimpleNamespace(train_loop=object.__new__(IterBasedTrainLoop))
    with pytest.raises(TypeError, match="EpochBasedTrainLoop"):
        RepeatableEpochsHook().before_train(run)


def test_repeated_data_sets_are_refused():
    dataset = RepeatDataset(Draws(), 2)
    run = SimpleNamespace(seed=0, epoch=0, train_dataloader=SimpleNamespace(dataset=dataset))
    with pytest.raises(TypeError, match="RepeatDataset"):
        RepeatableEpochsHook().before_train_epoch(run)
