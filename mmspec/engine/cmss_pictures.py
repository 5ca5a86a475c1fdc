"""Pictures of CMSS masking, written during training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmspec.datasets.repeatable import isolated_random
from mmspec.registry import HOOKS
from mmspec.visualization.cmss import (
    MixtureRecord,
    cmss_pictures,
    cmss_sheet,
    evenly_spaced,
    save_mixture_history,
    visible_history_sheet,
)

from .cmss import find_masking
from .model_and_batch import bare_model, fixed_batch
from .pictures import without_ending_the_run

_COLUMNS = 8


@HOOKS.register_module()
class CMSSVisualizationHook(Hook):
    """Show in ``WORK_DIR/masking`` how CMSS masking treats a few pairs of the training set.

    ``epoch_N.png`` has CMSS over both images and their visible patches; ``visible_patches.png``
    those of the first pair over the epochs, easy to hard; ``mixture.png`` the mixture and the
    centres of targets. They are written every few epochs and after the first and the last one. In a
    resumed run the last two begin with the epoch at which it went on.

    Args:
        interval: epochs between pictures.
        num_pairs: rows of ``epoch_N.png``; the histograms of ``mixture.png`` are of these pairs.
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
        due = epoch == 1 or self.every_n_epochs(runner, self.interval)
        if due or self.is_last_train_epoch(runner):
            folder = Path(runner.work_dir) / "masking"
            folder.mkdir(exist_ok=True)
            Image.fromarray(cmss_sheet(pictures)).save(folder / f"epoch_{epoch:04d}.png")
            masks = evenly_spaced(self.masks, _COLUMNS)
            sheet = visible_history_sheet(first.infrared, first.visible, masks)
            Image.fromarray(sheet).save(folder / "visible_patches.png")
            save_mixture_history(self.mixtures, folder / "mixture.png")
            runner.logger.info(f"pictures of the masking: {folder}")
