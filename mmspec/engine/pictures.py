"""Hooks that draw the first images of a validation or a test, one a task."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.fileio import dump
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from PIL import Image

from mmspec.evaluation.miss_rate import TIMES, MissRateMetric
from mmspec.evaluation.saliency import THRESHOLDS, SaliencyMetric
from mmspec.evaluation.small_target import THRESHOLD, SmallTargetMetric
from mmspec.registry import HOOKS
from mmspec.visualization.curves import save_miss_rate_curves, save_pr_curves, save_roc_curve
from mmspec.visualization.samples import (
    draw_detection,
    draw_matches,
    draw_saliency,
    draw_segmentation,
    draw_small_targets,
)


@contextmanager
def without_ending_the_run(what: str) -> Iterator[None]:
    """Warn in the log of a picture that cannot be made: days of training are worth more."""
    try:
        yield
    except Exception as error:
        message = f"no picture of {what}: {type(error).__name__}: {error}"
        print_log(message, logger="current", level=logging.WARNING)


class PictureHook(Hook):
    """Write a picture of the first images of every validation and of a test.

    They go to ``WORK_DIR/FOLDER/iter_N`` and ``WORK_DIR/FOLDER/test``, one an image, named by its
    number and file. The hooks of mmseg and mmdet read the file again and show it as it is; infrared
    needs a display gain, may be deeper than 8 bits, or sit in a channel of another image, so that
    these show what the pipeline loaded. A picture that cannot be made is warned of, by its image.

    Args:
        num_images: how many; None: all.
        out_dir: another folder for the pictures of a test.
    """

    folder: str
    #: A function of :mod:`mmspec.visualization.samples`, and the score it is given.
    draw: Callable[..., np.ndarray]
    threshold: float | None = None
    modes = ("val", "test")
    #: Whose curves are drawn after a test.
    metric: type[BaseMetric] | tuple = ()

    def __init__(self, num_images: int | None = 8, out_dir: str | None = None) -> None:
        self.num_images = num_images
        self.out_dir = out_dir
        self.seen = 0

    def draw_curves(self, metric: BaseMetric, folder: Path) -> None:
        """Draw what a metric of the class's kind left, in the main process, after a test."""

    def test_folder(self, runner: Runner) -> Path:
        return Path(self.out_dir or Path(runner.work_dir) / self.folder / "test")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        with without_ending_the_run("the curves of the test"):
            for metric in runner.test_evaluator.metrics:
                if isinstance(metric, self.metric):
                    self.test_folder(runner).mkdir(parents=True, exist_ok=True)
                    self.draw_curves(metric, self.test_folder(runner))

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        self.seen = 0

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None, mode: str = "train"
    ) -> None:
        if mode not in self.modes:
            return
        folder = self.test_folder(runner)
        if mode == "val":
            folder = Path(runner.work_dir) / self.folder / f"iter_{runner.iter:06d}"
        dataset = getattr(runner, f"{mode}_dataloader").dataset
        wanted = len(dataset) if self.num_images is None else self.num_images
        rank, processes = get_dist_info()
        images = data_batch["inputs"]
        if isinstance(images[0], list | tuple):  # views by test-time augmentation: the plain one
            images = images[0]
        for image, sample in zip(images, outputs):
            # The sampler deals the images out in turn; the first ones again fill the last round.
            number = processes * self.seen + rank
            self.seen += 1
            if number >= min(wanted, len(dataset)):
                return
            with without_ending_the_run(sample.get("img_path", f"image {number}")):
                classes = dataset.metainfo.get("classes", ())
                picture = self.draw(image, sample, classes, self.threshold)
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{number:04d}_{Path(sample.img_path).stem}.png"
                Image.fromarray(picture).save(folder / name)


@HOOKS.register_module()
class SegmentationOverlayHook(PictureHook):
    """Write prediction and truth over the input into ``WORK_DIR/overlays``.

    Of a pair both images are shown, and the overlays are over the infrared one.
    """

    folder = "overlays"
    draw = staticmethod(draw_segmentation)


@HOOKS.register_module()
class DetectionPictureHook(PictureHook):
    """Write predicted and true boxes, side by side, into ``WORK_DIR/detections``.

    Of a pair they are drawn over the infrared image and, below, over the visible one. Of a test
    there is also ``miss_rate.png``, the curves of the first setting that has any, if a
    ``MissRateMetric`` ran. Predictions below ``score_threshold`` are not drawn.
    """

    folder = "detections"
    draw = staticmethod(draw_detection)
    metric = MissRateMetric

    def __init__(self, *args, score_threshold: float = 0.3, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.threshold = score_threshold

    def draw_curves(self, metric: MissRateMetric, folder: Path) -> None:
        if metric.curves:  # of settings with a pedestrian
            setting = next(iter(metric.curves))[0]
            panels = {
                time: {setting: metric.curves[setting, time]}
                for time in TIMES
                if (setting, time) in metric.curves
            }
            save_miss_rate_curves(panels, folder / "miss_rate.png")


@HOOKS.register_module()
class SmallTargetPictureHook(PictureHook):
    """Write hits, misses and false alarms of every tested image, and the ROC curve of the test.

    They go to ``WORK_DIR/small_targets/test``; the curve is ``roc.png`` there, if a
    ``SmallTargetMetric`` ran and found pixels of both kinds. What is drawn is above its threshold.
    Validations are not drawn.
    """

    folder = "small_targets"
    draw = staticmethod(draw_small_targets)
    metric = SmallTargetMetric
    modes = ("test",)
    threshold = THRESHOLD

    def __init__(self, num_images: int | None = None, out_dir: str | None = None) -> None:
        super().__init__(num_images, out_dir)

    def before_test(self, runner: Runner) -> None:
        for metric in runner.test_evaluator.metrics:
            if isinstance(metric, SmallTargetMetric):
                self.threshold = metric.threshold

    def draw_curves(self, metric: SmallTargetMetric, folder: Path) -> None:
        if metric.roc is not None:
            save_roc_curve(metric.roc, folder / "roc.png")


@HOOKS.register_module()
class SaliencyPictureHook(PictureHook):
    """Write visible and infrared image, truth and probability, and the curves of a test.

    They go to ``WORK_DIR/saliency``; of a test there are also ``pr_curve.png`` and
    ``pr_curve.json``: the thresholds, strictest first, and for each data set precision, recall,
    F and E at them, if a ``SaliencyMetric`` ran.
    """

    folder = "saliency"
    draw = staticmethod(draw_saliency)
    metric = SaliencyMetric

    def draw_curves(self, metric: SaliencyMetric, folder: Path) -> None:
        if metric.curves:
            save_pr_curves(metric.curves, folder / "pr_curve.png")
            numbers = {
                name or "all": {key: values.tolist() for key, values in asdict(curve).items()}
                for name, curve in metric.curves.items()
            }
            numbers["thresholds"] = (THRESHOLDS / 255).tolist()
            dump(numbers, folder / "pr_curve.json")


@HOOKS.register_module()
class MatchingPictureHook(PictureHook):
    """Write the matches of a pair into ``WORK_DIR/matches``, right ones green, wrong ones red.

    A match is right within 3 pixels of the truth; the 150 best are drawn.
    """

    folder = "matches"
    draw = staticmethod(draw_matches)
