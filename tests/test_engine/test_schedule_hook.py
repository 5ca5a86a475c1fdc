"""A resumed run follows the config's schedule; one that does not fit is warned of."""

import re

import pytest
from mmengine.hooks import Hook
from toy_run import toy_run

from mmspec.engine.launch import LaunchError


class Record(Hook):
    """Learning rate and momentum of every group, as each iteration uses them."""

    def __init__(self) -> None:
        self.rates = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.rates[runner.iter + 1] = [
            (group["lr"], group.get("momentum"), tuple(group.get("betas", ())))
            for group in runner.optim_wrapper.param_groups
        ]


def rates(work_dir, **arguments) -> tuple[dict, str]:
    record = Record()
    runner = toy_run(work_dir, custom_hooks=[record], **arguments)
    runner.train()
    runner.logger.handlers[-1].flush()
    log = max(work_dir.glob("*/*.log"), key=lambda path: path.stat().st_mtime_ns).read_text()
    return record.rates, log


def warm_up(end, **more) -> dict:
    return dict(type="LinearLR", start_factor=0.01, begin=0, end=end, **more)


SCHEDULES = {
    "iterations, poly": (
        dict(iters=10),
        dict(iters=20),
        lambda n: [
            warm_up(3, by_epoch=False),
            dict(type="PolyLR", power=0.9, begin=3, end=n, by_epoch=False),
        ],
    ),
    "iterations, end by the loop": (
        dict(iters=10),
        dict(iters=20),
        lambda n: [dict(type="CosineAnnealingLR", by_epoch=False)],
    ),
    "iterations, longer warm-up": (
        dict(iters=6),
        dict(iters=20),
        lambda n: [
            warm_up(n // 2, by_epoch=False),
            dict(type="MultiStepLR", milestones=[n - 2], by_epoch=False, end=n),
        ],
    ),
    "one cycle": (
        dict(iters=10),
        dict(iters=20),
        lambda n: [dict(type="OneCycleLR", eta_max=0.5, total_steps=n, by_epoch=False)],
    ),
    "epochs, converted": (
        dict(epochs=2),
        dict(epochs=5),
        lambda n: [
            warm_up(1, convert_to_iter_based=True),
            dict(type="CosineAnnealingLR", begin=1, end=n, convert_to_iter_based=True),
        ],
    ),
    "epochs after a warm-up of iterations": (
        dict(epochs=2),
        dict(epochs=5),
        lambda n: [
            warm_up(3, by_epoch=False),
            dict(type="CosineAnnealingLR", T_max=n, eta_min=0.01),
        ],
    ),
    "momentum": (
        dict(epochs=2),
        dict(epochs=4),
        lambda n: [
            dict(type="PolyLR", end=n, convert_to_iter_based=True),
            dict(type="CosineAnnealingMomentum", eta_min=0.5, end=n, convert_to_iter_based=True),
        ],
    ),
}
OPTIMIZERS = [dict(type="SGD", lr=0.1, momentum=0.9), dict(type="AdamW", lr=0.1)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["SGD", "AdamW"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_a_resumed_longer_run_are_those_of_an_uninterrupted_one(name, optimizer, tmp_path):
    short, long, schedule = SCHEDULES[name]
    rates(tmp_path / "a", schedule=schedule(*short.values()), optimizer=optimizer, **short)
    arguments = dict(schedule=schedule(*long.values()), optimizer=optimizer, **long)
    resumed, log = rates(tmp_path / "a", resume=True, **arguments)
    whole, _ = rates(tmp_path / "b", **arguments)
    first = min(resumed)
    assert first > 1 and max(resumed) == max(whole)
    assert resumed == {step: whole[step] for step in resumed}
    ends = r"it ends with \w+ at \w+ (\d+) in the checkpoint, \w+ at \w+ (\d+) in the config"
    before, now = re.search(ends, log).groups()
    assert int(before) < int(now)


def test_a_changed_rate_and_an_added_scheduler_hold(tmp_path):
    schedule = [dict(type="PolyLR", end=10, by_epoch=False)]
    rates(tmp_path / "a", schedule=schedule, iters=4)
    arguments = dict(
        schedule=[warm_up(4, by_epoch=False), *schedule],
        optimizer=dict(type="SGD", lr=0.7, momentum=0.9),
        iters=8,
    )
    resumed, _ = rates(tmp_path / "a", resume=True, **arguments)
    whole, _ = rates(tmp_path / "b", **arguments)
    assert resumed == {step: whole[step] for step in range(5, 9)}


def test_the_same_schedule_is_restored_as_it_was_saved(tmp_path):
    arguments = dict(schedule=[dict(type="CosineAnnealingLR", end=9, by_epoch=False)], iters=9)
    whole, _ = rates(tmp_path / "a", checkpoint=dict(interval=5), **arguments)
    (tmp_path / "a" / "iter_9.pth").unlink()
    resumed, log = rates(tmp_path / "a", resume=True, **arguments)
    assert resumed == {step: whole[step] for step in range(6, 10)}
    assert "resumed epoch" in log and "not the config's" not in log


def test_a_schedule_by_metrics_is_refused_with_both_ends(tmp_path):
    plateau = [dict(type="ReduceOnPlateauLR", monitor="acc", rule="greater")]
    rates(tmp_path, schedule=plateau, epochs=1, scores=(1.0, 2.0))
    with pytest.raises(
        LaunchError, match=r"epoch 1 in the checkpoint, lr at epoch 2 in the config"
    ):
        rates(tmp_path, schedule=plateau, epochs=2, scores=(1.0, 2.0), resume=True)


@pytest.mark.parametrize(
    ("length", "schedule", "message"),
    [
        (
            dict(iters=5),
            [warm_up(2, by_epoch=False), dict(type="PolyLR", begin=2, end=20, by_epoch=False)],
            "PolyLR of lr ends at iteration 20, training at 5",
        ),
        (
            dict(epochs=2),
            [dict(type="CosineAnnealingLR", end=1)],
            "CosineAnnealingLR of lr ends at epoch 1, training at 2",
        ),
        (
            dict(epochs=2),  # 8 iterations
            [warm_up(3, by_epoch=False), dict(type="CosineAnnealingLR", end=1)],
            "CosineAnnealingLR of lr ends at epoch 1, training at 2",
        ),
        (
            dict(epochs=2),
            [dict(type="MultiStepLR", milestones=[1, 9])],
            "MultiStepLR of lr ends at epoch 9, training at 2",
        ),
        (
            dict(iters=4),
            [dict(type="CosineAnnealingLR", T_max=2, by_epoch=False)],
            "ends at iteration 2, training at 4",
        ),
        (
            dict(iters=4),
            [dict(type="PolyLR", end=4)],
            "PolyLR of lr counts epochs and training iterations",
        ),
        (
            dict(epochs=3),
            [warm_up(1), dict(type="CosineAnnealingLR", begin=1, end=3)],
            "LinearLR of lr has a single step",
        ),
        (
            dict(epochs=2),
            [dict(type="PolyLR"), dict(type="LinearMomentum", end=9)],
            "LinearMomentum of momentum ends at epoch 9, training at 2",
        ),
    ],
)
def test_a_schedule_that_does_not_fit_is_warned_of(length, schedule, message, tmp_path):
    _, log = rates(tmp_path, schedule=schedule, **length)
    assert message in log


@pytest.mark.parametrize(
    "schedule",
    [
        [warm_up(2, by_epoch=False)],
        [warm_up(2, by_epoch=False), dict(type="CosineAnnealingLR", begin=0, end=2)],
        [dict(type="CosineAnnealingLR", end=1), dict(type="PolyLR", begin=1, end=2)],
        [dict(type="MultiStepLR", milestones=[1])],
        [dict(type="ExponentialLR", gamma=0.9, end=10**9)],
        [],
    ],
    ids=["constant after a warm-up", "cosine", "two phases", "steps", "without an end", "none"],
)
def test_a_schedule_that_fits_is_not(schedule, tmp_path):
    _, log = rates(tmp_path, schedule=schedule, epochs=2)
    assert "training at" not in log and "single step" not in log and "never moves" not in log


@pytest.mark.parametrize(
    ("scale", "counts", "warned"),
    [
        (dict(base_batch_size=16), 1, "is for 16 images a step, this run takes 4"),
        (dict(base_batch_size=16), 2, "is for 16 images a step, this run takes 8"),
        (dict(base_batch_size=16), 4, None),
        (dict(base_batch_size=4), 1, None),
        (dict(base_batch_size=16, enable=True), 1, None),
        (None, 1, None),
    ],
)
def test_a_rate_for_another_batch_is_warned_of(tmp_path, scale, counts, warned):
    _, log = rates(
        tmp_path,
        schedule=[],
        epochs=1,
        auto_scale_lr=scale,
        wrapper=dict(accumulative_counts=counts),
    )
    assert ("images a step" in log) == (warned is not None)
    assert warned is None or warned in log
