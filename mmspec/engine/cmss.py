"""The epoch-wise schedule of CMSS masking, and pictures of it."""

from pathlib import Path

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from PIL import Image

from mmspec.datasets.repeatable import evenly_spaced, isolated_random
from mmspec.models.maskers import CMSSMasking
from mmspec.registry import HOOKS
from mmspec.visualization.cmss import (
    MixtureRecord,
    cmss_pictures,
    cmss_sheet,
    save_mixture_history,
    visible_history_sheet,
)

from .model_and_batch import bare_model, fixed_batch
from .pictures import without_ending_the_run

LOSSES = ("loss_infrared", "loss_visible")


def find_masking(hook: Hook, runner: Runner) -> CMSSMasking:
    """The one :class:`CMSSMasking` of the model; a ValueError names the hook without it."""
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
        self.masking.begin_training(runner.iter)

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


@HOOKS.register_module()
class CMSSVisualizationHook(Hook):
    """Show in ``WORK_DIR/masking`` how CMSS masking treats a few pairs of the training set.

    ``epoch_N.png`` has CMSS over both images and their visible patches; ``visible_patches.png``
    those of the first pair over the epochs, easy to hard; ``mixture.png`` the mixture and the
    centres of targets. They are written every ``interval`` epochs and after the first and the last
    one. In a resumed run the last two begin with the epoch at which it went on. ``num_pairs`` are
    the rows of ``epoch_N.png``; the histograms of ``mixture.png`` are of these pairs.
    """

    # Before CMSSScheduleHook moves the targets on: an epoch's picture shows its own masks.
    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 5, num_pairs: int = 4) -> None:
        self.interval = interval
        self.num_pairs = num_pairs

    @master_only
    def before_train(self, runner: Runner) -> None:
        self.masking = find_masking(self, runner)
        self.batch = fixed_batch(runner, self.num_pairs)
        self.masks: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.mixtures: list[MixtureRecord] = []

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        with without_ending_the_run("the masking"):
            self._write(runner)

    def _write(self, runner: Runner) -> None:
        model = bare_model(runner)
        model.eval()
        pairs = model.data_preprocessor(self.batch, False)["inputs"]
        # The same numbers in each epoch (on a CPU), so that the schedule alone changes the masks.
        with isolated_random(runner.seed):
            pictures = cmss_pictures(model, pairs)
        epoch, first = runner.epoch + 1, pictures[0]
        self.masks.append((epoch, first.infrared_mask, first.visible_mask))
        scores = np.stack([picture.scores for picture in pictures])
        centres = self.masking.centres[: int(self.masking.num_centres)]
        state = (part.cpu().numpy().copy() for part in (*self.masking.mixture, centres))
        self.mixtures.append(MixtureRecord(epoch, scores, *state))
        due = self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        if due or epoch == 1:
            folder = Path(runner.work_dir) / "masking"
            folder.mkdir(exist_ok=True)
            Image.fromarray(cmss_sheet(pictures)).save(folder / f"epoch_{epoch:04d}.png")
            masks = evenly_spaced(self.masks, 8)
            sheet = visible_history_sheet(first.infrared, first.visible, masks)
            Image.fromarray(sheet).save(folder / "visible_patches.png")
            save_mixture_history(self.mixtures, folder / "mixture.png")
            runner.logger.info(f"pictures of the masking: {folder}")
