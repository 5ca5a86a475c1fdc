"""Pictures of CMSS masking, written during training."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmspec.datasets.repeatable import isolated_random
from mmspec.models.maskers import CMSSMasking
from mmspec.registry import HOOKS
from mmspec.visualization.cmss import (
    CMSSPicture,
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

_IN_CHECKPOINT = "cmss_pictures"
_COLUMNS = 8


@HOOKS.register_module()
class CMSSVisualizationHook(Hook):
    """Shows in ``WORK_DIR/masking`` how CMSS masking treats a few pairs of the training set.

    ``epoch_N.png`` has CMSS over both images and their visible patches; ``visible_patches.png``
    those of the first pair over the epochs, easy to hard; ``mixture.png`` the mixture and the
    centres of targets. They are written every few epochs and after the first and the last one. What
    the last two show stands in the checkpoints, so that a resumed run goes on with it.

    Args:
        interval: epochs between pictures.
        num_pairs: rows of ``epoch_N.png``; the histograms of ``mixture.png`` are of these pairs.
    """

    # Before CMSSScheduleHook moves the targets on: an epoch's picture shows its own masks.
    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 5, num_pairs: int = 4) -> None:
        self.interval = interval
        self.num_pairs = num_pairs
        self.records: list[dict] = []

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint[_IN_CHECKPOINT] = self.records

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.records = list(checkpoint.get(_IN_CHECKPOINT, []))

    @master_only
    def before_train(self, runner: Runner) -> None:
        self.masking = find_masking(self, runner)
        # Those of another run, if this one only took the weights of its checkpoint.
        self.records = [record for record in self.records if record["epoch"] <= runner.epoch]
        self.batch = fixed_batch(runner, self.num_pairs)

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
        epoch = runner.epoch + 1
        self.records.append(_record(epoch, pictures, self.masking))
        due = epoch == 1 or self.every_n_epochs(runner, self.interval)
        if due or self.is_last_train_epoch(runner):
            folder = Path(runner.work_dir) / "masking"
            folder.mkdir(exist_ok=True)
            Image.fromarray(cmss_sheet(pictures)).save(folder / f"epoch_{epoch:04d}.png")
            self._write_histories(folder, pictures[0])
            runner.logger.info(f"pictures of the masking: {folder}")

    def _write_histories(self, folder: Path, first: CMSSPicture) -> None:
        masks = [
            (record["epoch"], *(mask.numpy() for mask in record["masks"]))
            for record in evenly_spaced(self.records, _COLUMNS)
        ]
        sheet = visible_history_sheet(first.infrared, first.visible, masks)
        Image.fromarray(sheet).save(folder / "visible_patches.png")
        mixtures = [
            MixtureRecord(record["epoch"], *(part.numpy() for part in record["mixture"]))
            for record in self.records
        ]
        save_mixture_history(mixtures, folder / "mixture.png")


def _record(epoch: int, pictures: list[CMSSPicture], masking: CMSSMasking) -> dict:
    """What the histories need of an epoch, as tensors, which any reader of checkpoints loads."""
    first = pictures[0]
    scores = torch.stack([torch.from_numpy(picture.scores) for picture in pictures])
    centres = masking.centres[: int(masking.num_centres)]
    return dict(
        epoch=epoch,
        masks=[torch.from_numpy(mask) for mask in (first.infrared_mask, first.visible_mask)],
        mixture=[scores, *(x.cpu().clone() for x in (*masking.mixture, centres))],
    )
