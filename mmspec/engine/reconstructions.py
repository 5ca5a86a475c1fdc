"""Pictures written during training."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmspec.models.selfsup import PairReconstruction
from mmspec.registry import HOOKS
from mmspec.visualization.reconstruction import pair_reconstruction_sheet, reconstruction_sheet

from .model_and_batch import bare_model, fixed_batch, warn_without_epochs
from .pictures import without_ending_the_run


@HOOKS.register_module()
class ReconstructionVisualizationHook(Hook):
    """Write ``WORK_DIR/reconstructions/epoch_N.png`` every few epochs and after the last one.

    The rows are the same ``num_images`` images or pairs in every sheet: evenly spaced ones of the
    training set, prepared once by its pipeline when training starts. A pair has two rows and a
    further column, each image from the other alone.
    """

    def __init__(self, interval: int = 20, num_images: int = 8) -> None:
        self.interval = interval
        self.num_images = num_images
        self.batch: dict = {}

    @master_only
    def before_train(self, runner: Runner) -> None:
        warn_without_epochs(self, runner)
        self.batch = fixed_batch(runner, self.num_images)

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            with without_ending_the_run("reconstructions"):
                self._write(runner)

    def _write(self, runner: Runner) -> None:
        model = bare_model(runner)
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
