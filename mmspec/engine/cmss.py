"""The epoch-wise schedule of CMSS masking."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmspec.models.maskers import CMSSMasking
from mmspec.registry import HOOKS

from .model_and_batch import bare_model

LOSSES = ("loss_infrared", "loss_visible")


def find_masking(hook: Hook, runner: Runner) -> CMSSMasking:
    """The one :class:`CMSSMasking` of the model; without it a ValueError that names the hook."""
    model = bare_model(runner)
    found = [module for module in model.modules() if isinstance(module, CMSSMasking)]
    if len(found) != 1:
        raise ValueError(
            f"{type(hook).__name__}: {type(model).__name__} holds {len(found)} CMSSMasking "
            "modules, not one; set model.masker = dict(type='mmspec.CMSSMasking') or take the hook "
            "out of custom_hooks"
        )
    return found[0]


@HOOKS.register_module()
class CMSSScheduleHook(Hook):
    """Give the losses of each step to the model's :class:`CMSSMasking` and end its epochs.

    The schedule follows the run's epochs and their number; it stands in the checkpoint of the epoch
    that ended, and its new state in the log.
    """

    # Before the checkpoint of the epoch is written.
    priority = "NORMAL"

    def before_train(self, runner: Runner) -> None:
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                "CMSSScheduleHook moves targets by epoch and needs an EpochBasedTrainLoop, got "
                f"{type(runner.train_loop).__name__}; set train_cfg = dict(by_epoch=True, ...)"
            )
        self.masking = find_masking(self, runner)
        self.masking.begin_training(runner.epoch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        missing = [name for name in LOSSES if name not in outputs]
        if missing:
            raise KeyError(
                f"CMSSScheduleHook: the model gives no {' and no '.join(missing)}, only "
                f"{', '.join(outputs)}; the schedule compares the losses of the two modalities"
            )
        self.masking.update_losses(*(outputs[name] for name in LOSSES))

    def after_train_epoch(self, runner: Runner) -> None:
        finished = runner.epoch + 1
        schedule = self.masking.end_epoch(finished, runner.max_epochs)
        centres = ", ".join(f"{centre:.4g}" for centre in schedule.centres)
        means = ", ".join(f"{mean:.4g}" for mean in sorted(self.masking.means.tolist()))
        runner.logger.info(
            f"CMSS after epoch {finished}: targets around {centres}; mixture means {means}; of "
            f"the visible image {int(schedule.keep_shift)} patches more are seen, as many fewer of "
            f"the infrared one, whose targets moved by {schedule.target_shift:+.4f}, the others by "
            f"{-schedule.target_shift:+.4f}"
        )
