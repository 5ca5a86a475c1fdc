import pickle
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from torch.utils.data import DataLoader

from mmspec.datasets.repeatable import (
    RepeatableSampler,
    RepeatableSamplesMixin,
    SampleIndex,
    evenly_spaced,
    isolated_random,
)
from mmspec.engine import RepeatableDrawsHook
from mmspec.registry import HOOKS


class PlainDraws(BaseDataset):
    """Each sample is three random numbers, one of each generator."""

    def load_data_list(self):
        return [dict(index=i) for i in range(4)]

    def prepare_data(self, idx):
        return random.random(), np.random.rand(), torch.rand(()).item()


class Draws(RepeatableSamplesMixin, PlainDraws):
    pass


def draws(*place, order=(0, 1, 2, 3), dataset=None) -> dict:
    dataset = dataset or Draws()
    return {i: tuple(dataset[SampleIndex(i, (*place, i))]) for i in order}


def test_a_sample_depends_on_its_seed_alone():
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


def test_a_plain_index_follows_the_process():
    torch.manual_seed(0)
    dataset = Draws()
    assert dataset[0] != dataset[0]


def test_steps_that_draw_nothing_are_not_seeded():
    """Seeding takes longer than such a sample; one in place of a broken image is drawn."""
    step = SimpleNamespace(draws=False)
    dataset = Draws()
    dataset.pipeline.transforms = [step, lambda results: results]
    seeded = draws(3, 4)
    assert draws(3, 4, dataset=dataset) == seeded
    dataset.pipeline.transforms = [step]
    assert draws(3, 4, dataset=dataset) != seeded
    dataset.skip_broken = True
    assert draws(3, 4, dataset=dataset) == seeded


def test_isolated_random_survives_an_error():
    state = torch.get_rng_state()
    with pytest.raises(KeyError), isolated_random(1):
        {}[torch.rand(3)]
    assert torch.equal(state, torch.get_rng_state())


def test_an_index_stays_one():
    index = SampleIndex(5, (7, 8))
    assert index == 5 and [*range(9)][index] == 5
    copy = pickle.loads(pickle.dumps(index))
    assert (copy, copy.entropy) == (5, (7, 8))


def test_samples_inside_wrappers_follow():
    both = ConcatDataset([Draws(), Draws()])
    first, second = draws(0, 3, dataset=both), draws(0, 3, order=(4, 5, 6, 7), dataset=both)
    assert first == draws(0, 3)
    assert second == draws(0, 3, order=(4, 5, 6, 7), dataset=both)
    assert not {*first.values()} & {*second.values()}
    twice = draws(0, 3, order=range(8), dataset=RepeatDataset(Draws(), 2))
    assert len({*twice.values()}) == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_of_an_epoch_do_not_depend_on_workers_or_earlier_epochs(workers):
    def epochs(*numbers):
        dataset = Draws()
        sampler = DefaultSampler(dataset, shuffle=True, seed=0)
        loader = DataLoader(
            dataset,
            sampler=RepeatableSampler(sampler, seed=3),
            batch_size=2,
            num_workers=workers,
            persistent_workers=bool(workers),
            collate_fn=list,
        )
        found = []
        for number in numbers:
            sampler.set_epoch(number)
            found.append([tuple(sample) for batch in loader for sample in batch])
        return found

    first, second = epochs(0, 1)
    assert [second] == epochs(1)
    assert not {*first} & {*second}


def stream(sampler, seed, count, **place):
    iterator = iter(RepeatableSampler(sampler, seed, **place))
    return [(int(i), i.entropy) for i in (next(iterator) for _ in range(count))]


def test_ranks_share_the_stream_of_one_process():
    def sampler(rank=0, world_size=1):
        made = InfiniteSampler(Draws(), seed=1)
        made.rank, made.world_size = rank, world_size
        made.indices = made._indices_of_rank()
        return made

    one = stream(sampler(), 9, 12)
    two = [stream(sampler(r, 2), 9, 6, rank=r, world_size=2) for r in (0, 1)]
    assert one == [entry for pair in zip(*two) for entry in pair]
    assert len({entropy for _, entropy in one}) == 12


@pytest.mark.parametrize("rank", [0, 1])
def test_an_index_given_again_in_an_epoch_is_another_draw(rank):
    sampler = type("Repeats", (), dict(epoch=5, __iter__=lambda self: iter((2, 2, 0))))()
    assert stream(sampler, 9, 3, rank=rank, world_size=2) == [
        (2, (9, 5, 2, 0, rank)),
        (2, (9, 5, 2, 1, rank)),
        (0, (9, 5, 0, 0, rank)),
    ]


def runner(dataset, iteration=0, seed=7, batch_size=2):
    sampler = InfiniteSampler(dataset, seed=0)
    loader = DataLoader(dataset, sampler=sampler, batch_size=batch_size, collate_fn=list)
    loop = SimpleNamespace(dataloader=loader)
    return SimpleNamespace(seed=seed, iter=iteration, train_loop=loop, train_dataloader=loader)


def test_hook_seeds_model_and_samples_by_iteration():
    values = []
    for iteration in (3, 4, 3):
        run = runner(ConcatDataset([Draws()]), iteration)
        hook = RepeatableDrawsHook()
        hook.before_train(run)
        batch = next(iter(run.train_loop.dataloader))
        hook.before_train_iter(run, iteration)
        values.append((torch.rand(()).item(), random.random(), np.random.rand(), *batch))
    assert values[0] == values[2]
    assert all(a != b for a, b in zip(values[0], values[1]))


def test_ranks_draw_differently(monkeypatch):
    values = []
    for rank in (0, 1):
        monkeypatch.setattr("mmspec.engine.repeatable.get_rank", lambda rank=rank: rank)
        RepeatableDrawsHook().before_train_iter(runner(Draws()), 0)
        values.append((torch.rand(()).item(), random.random(), np.random.rand()))
    assert all(a != b for a, b in zip(*values))


def test_a_data_set_that_does_not_follow_is_named(monkeypatch):
    said = []
    monkeypatch.setattr("mmspec.engine.repeatable.print_log", lambda text, **_: said.append(text))
    RepeatableDrawsHook().before_train(runner(ConcatDataset([Draws(), PlainDraws()])))
    assert len(said) == 1 and "depend on the workers" in said[0] and "PlainDraws" in said[0]
    RepeatableDrawsHook().before_train(runner(Draws()))
    assert len(said) == 1


def test_a_wrapper_that_takes_the_seed_away_is_named_until_it_seeds(monkeypatch):
    """mmdet's mosaic and mmengine's balanced classes index what they wrap by plain numbers."""

    class Balanced(ClassBalancedDataset):
        def __init__(self, dataset):
            self.dataset, self.repeat_indices, self._fully_initialized = dataset, [2, 2, 0], True
            self._metainfo = {}

        def __len__(self):
            return 3

    class SeededBalanced(RepeatableSamplesMixin, Balanced):
        pass

    said = []
    monkeypatch.setattr("mmspec.engine.repeatable.print_log", lambda text, **_: said.append(text))
    RepeatableDrawsHook().before_train(runner(Balanced(Draws())))
    assert len(said) == 1 and "Balanced: derive it from" in said[0]
    values = []
    for _ in range(2):
        run = runner(SeededBalanced(Draws()))
        RepeatableDrawsHook().before_train(run)
        values.append(next(iter(run.train_loop.dataloader)))
    assert len(said) == 1 and values[0] == values[1]


def test_the_name_of_before_still_serves():
    assert HOOKS.get("RepeatableEpochsHook") is HOOKS.get("mmspec.RepeatableDrawsHook")


@pytest.mark.parametrize(
    ("most", "chosen"), [(None, "abcdefg"), (9, "abcdefg"), (3, "adg"), (2, "ag"), (1, "a")]
)
def test_evenly_spaced_items_begin_with_the_first_and_end_with_the_last(most, chosen):
    assert evenly_spaced("abcdefg", most) == list(chosen)
    assert evenly_spaced("", most) == []
