"""Probe the encoder while it is pre-trained."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmspec.datasets.repeatable import isolated_random
from mmspec.probing import FrozenEncoder, LabelledImages, probe_maps
from mmspec.probing.features import compute_features
from mmspec.probing.segmentation import JUDGES
from mmspec.probing.tasks import check_judges
from mmspec.registry import HOOKS
from mmspec.visualization.curves import save_probe_curve

from .model_and_batch import bare_model, warn_without_epochs
from .pictures import without_ending_the_run


@HOOKS.register_module()
class ProbeHook(Hook):
    """Judge the encoder every few epochs on a small labelled data set, by nearest neighbours.

    The mean IoU of each map, in percent, goes into the log with what it cost, to the visualization
    backends as ``probe/MAP``, and as a curve beside the loss into ``WORK_DIR/probe.png``. By
    default a probe of a tiny encoder takes 9 s of a core. The first probe, of the
    weights as they start, raises what is wrong; a later one that fails is warned of. The draws of
    the training are those of a run without it.

    Args:
        dataset, data_root: see :class:`~mmspec.probing.LabelledImages`.
        interval: epochs from one to the next.
        splits: to learn from, and to judge on.
        num_images: at most so many of each split, evenly spaced.
        size: pixels a side.
        judge: 'neighbours' or 'linear'.
        memory: cells to learn from; their number is most of the cost.
    """

    def __init__(
        self,
        dataset: str,
        data_root: str,
        interval: int = 1,
        splits: Sequence[str] = ("train", "test"),
        num_images: int = 50,
        size: int = 224,
        judge: str = "neighbours",
        memory: int = 5000,
    ) -> None:
        check_judges([judge], JUDGES)
        self.interval, self.judge, self.memory = interval, judge, memory
        self.images = [
            LabelledImages(dataset, data_root, split, size, num_images=num_images)
            for split in splits
        ]
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.spent = 0.0
        self.started = 0.0

    def before_train(self, runner: Runner) -> None:
        self.started = time.perf_counter()
        warn_without_epochs(self, runner)
        if runner.iter == 0:
            self._probe(runner, 0)

    def after_train_epoch(self, runner: Runner) -> None:
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            with without_ending_the_run("the probe"):
                self._probe(runner, runner.epoch + 1)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint["probe_history"] = self.history

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume:
            self.history = checkpoint.get("probe_history", {})

    @master_only
    def _probe(self, runner: Runner, epoch: int) -> None:
        start = time.perf_counter()
        model = bare_model(runner)
        backbone = model.backbone
        device = next(backbone.parameters()).device
        with isolated_random(0), tempfile.TemporaryDirectory() as folder:
            encoder = FrozenEncoder(backbone, mean_std=_mean_std(model))
            known, asked = (
                compute_features(encoder, images, folder, device=str(device))
                for images in self.images
            )
            records = list(probe_maps(known, asked, judges=(self.judge,), memory=self.memory))
        found = {record["map"]: record["mIoU"] for record in records}
        for name, value in found.items():
            self.history.setdefault(name, []).append((epoch, value))
        runner.visualizer.add_scalars(
            {f"probe/{name}": value for name, value in found.items()}, step=epoch
        )
        if (loss := runner.message_hub.log_scalars.get("train/loss")) is not None:
            mean = loss.mean(len(runner.train_dataloader))
            self.history.setdefault("loss", []).append((epoch, float(mean)))
        save_probe_curve(self.history, Path(runner.work_dir) / "probe.png")
        took = time.perf_counter() - start
        self.spent += took
        share = self.spent / (time.perf_counter() - self.started)
        scores = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
        runner.logger.info(
            f"probe after {epoch} epochs, mIoU by {self.judge}: {scores}"
            f" ({took:.0f} s; {share:.1%} of the training's time so far)"
        )


def _mean_std(model: nn.Module) -> tuple[list[float], list[float]] | None:
    """What the model takes of gray levels, of pairs of the infrared ones, which are first."""
    own = getattr(model, "data_preprocessor", None)
    given = (getattr(own, name, None) for name in ("mean", "std"))
    numbers = [x.flatten()[:3].tolist() for x in given if x is not None]
    return tuple(numbers) if len(numbers) == 2 else None
