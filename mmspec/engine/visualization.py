"""Pictures written during training."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from PIL import Image

from mmspec.datasets.repeatable import isolated_random
from mmspec.models import PairReconstruction
from mmspec.registry import HOOKS
from mmspec.visualization.reconstruction import pair_reconstruction_sheet, reconstruction_sheet


@HOOKS.register_module()
class ReconstructionVisualizationHook(Hook):
    """Writes ``WORK_DIR/reconstructions/epoch_N.png`` every few epochs and after the last one.

    The rows are the same images in every sheet: evenly spaced ones of the training set, prepared
    once by its pipeline when training starts. A pair has two rows and a further column, each image
    from the other alone.

    Args:
        interval: epochs between sheets.
        num_images: images, or pairs, of a sheet.
    """

    def __init__(self, interval: int = 20, num_images: int = 8) -> None:
        self.interval = interval
        self.num_images = num_images
        self.batch: dict = {}

    @master_only
    def before_train(self, runner: Runner) -> None:
        loader = runner.train_dataloader
        count = min(self.num_images, len(loader.dataset))
        indices = torch.linspace(0, len(loader.dataset) - 1, count).long().tolist()
        # The same crops after a resume, and no random number taken from the run.
        with isolated_random(runner.seed):
            self.batch = loader.collate_fn([loader.dataset[i] for i in indices])

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._write(runner)

    def _write(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.eval()
        data = model.data_preprocessor(self.batch, False)
        result = model.reconstruct(**data)
        if isinstance(result, PairReconstruction):
            crossed = model.cross_reconstruct(data["inputs"])
            sheet = pair_reconstruction_sheet(result, crossed, self.num_images)
        else:
            sheet = reconstruction_sheet(result, self.num_images)
        path = Path(runner.work_dir) / "reconstructions" / f"epoch_{runner.epoch + 1:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(sheet).save(path)
        runner.logger.info(f"reconstructions: {path}")
