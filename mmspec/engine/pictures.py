"""Hooks that draw the first images of a validation or a test, one a task."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.fileio import dump
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor

from mmspec.datasets.transforms.rgbt import VISIBLE
from mmspec.evaluation.foreground import foreground_probability
from mmspec.evaluation.matching import match_errors
from mmspec.evaluation.miss_rate import TIMES, MissRateMetric
from mmspec.evaluation.saliency import THRESHOLDS, SaliencyMetric
from mmspec.evaluation.small_target import SmallTargetMetric
from mmspec.registry import HOOKS
from mmspec.visualization.detection import detection_picture
from mmspec.visualization.matching import match_picture
from mmspec.visualization.miss_rate import save_miss_rate_curves
from mmspec.visualization.roc import save_roc_curve
from mmspec.visualization.saliency import saliency_picture, save_pr_curves
from mmspec.visualization.segmentation import segmentation_picture
from mmspec.visualization.small_target import small_target_picture


@contextmanager
def without_ending_the_run(what: str) -> Iterator[None]:
    """Warns in the log of a picture that cannot be made: days of training are worth more."""
    try:
        yield
    except Exception as error:
        print_log(
            f"no picture of {what}: {type(error).__name__}: {error}",
            logger="current",
            level=logging.WARNING,
        )


class PictureHook(Hook):
    """Writes a picture of the first images of every validation and of a test.

    They go to ``WORK_DIR/FOLDER/iter_N`` and ``WORK_DIR/FOLDER/test``, one an image, named by its
    number and file. The hooks of mmseg and mmdet read the file again and show it as it is; infrared
    needs a display gain, may be deeper than 8 bits, or sit in a channel of another image, so that
    these show what the pipeline loaded. A picture that cannot be made is warned of, by its image.

    Args:
        num_images: how many; None: all.
        out_dir: another folder for the pictures of a test.
    """

    folder: str

    def __init__(self, num_images: int | None = 8, out_dir: str | None = None) -> None:
        self.num_images = num_images
        self.out_dir = out_dir
        self.seen = 0

    @abstractmethod
    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        """The picture, (H, W, 3) uint8, of a prediction.

        Args:
            image: (C, H', W') uint8, what the pipeline loaded.
            sample: prediction and truth.
            classes: names of the data set's classes; none where it has no labels.
        """

    def before_val_epoch(self, runner: Runner) -> None:
        self.seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self.seen = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        folder = Path(runner.work_dir) / self.folder / f"iter_{runner.iter:06d}"
        self._write(folder, data_batch["inputs"], outputs, runner.val_dataloader.dataset)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        inputs, dataset = data_batch["inputs"], runner.test_dataloader.dataset
        self._write(self.test_folder(runner), inputs, outputs, dataset)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        with without_ending_the_run("the curves of the test"):
            self.draw_curves(runner)

    def draw_curves(self, runner: Runner) -> None:
        """Draws what the metrics of a test left; nothing here."""

    def test_folder(self, runner: Runner) -> Path:
        return Path(self.out_dir or Path(runner.work_dir) / self.folder / "test")

    def test_metrics(self, runner: Runner, kind: type[BaseMetric]) -> list[BaseMetric]:
        """The metrics of a kind that a test ran; its folder is there then."""
        found = [metric for metric in runner.test_evaluator.metrics if isinstance(metric, kind)]
        if found:
            self.test_folder(runner).mkdir(parents=True, exist_ok=True)
        return found

    def _write(self, folder: Path, inputs: Sequence[Tensor], outputs: Sequence, dataset) -> None:
        rank, processes = get_dist_info()
        for image, sample in zip(inputs, outputs):
            # The sampler deals the images out in turn; the first ones again fill the last round.
            number = processes * self.seen + rank
            self.seen += 1
            wanted = len(dataset) if self.num_images is None else self.num_images
            if number >= min(wanted, len(dataset)):
                return
            with without_ending_the_run(sample.get("img_path", f"image {number}")):
                picture = self.picture(image, sample, dataset.metainfo.get("classes", ()))
                folder.mkdir(parents=True, exist_ok=True)
                name = f"{number:04d}_{Path(sample.img_path).stem}.png"
                Image.fromarray(picture).save(folder / name)


def loaded_image(tensor: Tensor, size: tuple[int, int]) -> np.ndarray:
    """The picture in a pipeline's result, at a size (H, W).

    Args:
        tensor: (C, H', W') uint8; of more than three channels the first three are shown, infrared
            where it comes with a visible image.

    Returns:
        (H, W) gray levels of equal channels, or (H, W, 3) of blue, green, red as red, green, blue.
    """
    image = tensor[:3].permute(1, 2, 0).cpu().numpy()
    gray = (image == image[..., :1]).all()
    image = np.ascontiguousarray(image[..., 0] if gray else image[..., ::-1])
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def modalities(
    image: Tensor, channels: Sequence[str], size: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The visible and the infrared image of a pipeline's result, at a size (H, W).

    Args:
        image: (C, H', W') uint8.
        channels: what each of the C is.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8; None for what is not there.
    """
    visible = infrared = None
    if set(VISIBLE) <= set(channels):
        # From red, green, blue to the order in which it is handed over.
        visible = loaded_image(image[[channels.index(c) for c in VISIBLE[::-1]]], size)
        if visible.ndim == 2:
            visible = np.repeat(visible[..., None], 3, axis=2)
    if "infrared" in channels:
        infrared = loaded_image(image[[channels.index("infrared")]], size)
    return visible, infrared


def loaded_images(
    image: Tensor, sample: BaseDataElement, size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """What a pipeline loaded, at a size (H, W), by the names of the modalities.

    Args:
        image: (C, H', W') uint8.
        sample: whose ``channels`` tell a pair; without them it is one image.

    Returns:
        ``infrared`` (H, W) and ``visible`` (H, W, 3) uint8 RGB of a pair, or ``input``, of either
        shape.
    """
    visible, infrared = modalities(image, sample.get("channels") or (), size)
    if visible is None:
        return dict(input=loaded_image(image, size) if infrared is None else infrared)
    return dict(input=visible) if infrared is None else dict(infrared=infrared, visible=visible)


@HOOKS.register_module()
class SegmentationOverlayHook(PictureHook):
    """Writes prediction and truth over the input into ``WORK_DIR/overlays``.

    Of a pair both images are shown, and the overlays are over the infrared one.
    """

    folder = "overlays"

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        prediction = sample.pred_sem_seg.data[0].long().cpu().numpy()
        truth = sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None
        images = loaded_images(image, sample, prediction.shape)
        return segmentation_picture(images, prediction, truth, classes)


@HOOKS.register_module()
class DetectionPictureHook(PictureHook):
    """Writes predicted and true boxes, side by side, into ``WORK_DIR/detections``.

    Of a pair they are drawn over the infrared image and, below, over the visible one. Of a test
    there is also ``miss_rate.png``, the curves of the first setting that has any, if a
    ``MissRateMetric`` ran.

    Args:
        num_images: how many; None: all.
        out_dir: another folder for the pictures of a test.
        score_threshold: predictions below are not drawn.
    """

    folder = "detections"

    def __init__(
        self,
        num_images: int | None = 8,
        out_dir: str | None = None,
        score_threshold: float = 0.3,
    ) -> None:
        super().__init__(num_images, out_dir)
        self.score_threshold = score_threshold

    def draw_curves(self, runner: Runner) -> None:
        for metric in self.test_metrics(runner, MissRateMetric):
            if metric.curves:  # in the main process, and of settings with a pedestrian
                setting = next(iter(metric.curves))[0]
                panels = {
                    time: {setting: metric.curves[setting, time]}
                    for time in TIMES
                    if (setting, time) in metric.curves
                }
                save_miss_rate_curves(panels, self.test_folder(runner) / "miss_rate.png")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        found = sample.pred_instances
        truth = None
        if "instances" in sample:
            truth = [
                (instance["bbox"], instance["bbox_label"], bool(instance["ignore_flag"]))
                for instance in sample.instances
            ]
        return detection_picture(
            list(loaded_images(image, sample, sample.ori_shape[:2]).values()),
            found.bboxes.float().cpu().numpy(),
            found.scores.float().cpu().numpy(),
            found.labels.cpu().numpy(),
            truth,
            classes,
            self.score_threshold,
        )


@HOOKS.register_module()
class SmallTargetPictureHook(PictureHook):
    """Writes hits, misses and false alarms of every tested image, and the ROC curve of the test.

    They go to ``WORK_DIR/small_targets/test``; the curve is ``roc.png`` there, if a
    ``SmallTargetMetric`` ran and found pixels of both kinds. Validations are not drawn.

    Args:
        num_images: how many images of a test; None: all.
        out_dir: another folder.
    """

    folder = "small_targets"

    def __init__(self, num_images: int | None = None, out_dir: str | None = None) -> None:
        super().__init__(num_images, out_dir)

    def after_val_iter(self, *args, **kwargs) -> None:
        """Draws nothing."""

    def draw_curves(self, runner: Runner) -> None:
        for metric in self.test_metrics(runner, SmallTargetMetric):
            if metric.roc is not None:
                save_roc_curve(metric.roc, self.test_folder(runner) / "roc.png")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        probability = foreground_probability(sample.seg_logits.data, sample.img_path)
        truth = sample.gt_sem_seg.data[0].cpu().numpy()
        return small_target_picture(loaded_image(image, truth.shape), truth, probability)


@HOOKS.register_module()
class SaliencyPictureHook(PictureHook):
    """Writes visible and infrared image, truth and probability, and the curves of a test.

    They go to ``WORK_DIR/saliency``; of a test there are also ``pr_curve.png`` and
    ``pr_curve.json``: the thresholds, strictest first, and for each data set precision, recall,
    F and E at them, if a ``SaliencyMetric`` ran.
    """

    folder = "saliency"

    def draw_curves(self, runner: Runner) -> None:
        folder = self.test_folder(runner)
        for metric in self.test_metrics(runner, SaliencyMetric):
            if metric.curves:  # in the main process
                save_pr_curves(metric.curves, folder / "pr_curve.png")
                numbers = {
                    name or "all": {key: values.tolist() for key, values in asdict(curve).items()}
                    for name, curve in metric.curves.items()
                }
                numbers["thresholds"] = (THRESHOLDS / 255).tolist()
                dump(numbers, folder / "pr_curve.json")

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        truth = sample.gt_sem_seg.data[0].cpu().numpy()
        visible, infrared = modalities(image, sample.channels, truth.shape)
        score = foreground_probability(sample.seg_logits.data, sample.img_path)
        return saliency_picture(visible, infrared, truth, score)


@HOOKS.register_module()
class MatchingPictureHook(PictureHook):
    """Writes the matches of a pair into ``WORK_DIR/matches``, right ones green, wrong ones red.

    A match is right within 3 pixels of the truth; the 150 best are drawn.
    """

    folder = "matches"

    def picture(self, image: Tensor, sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray:
        visible, infrared = modalities(image, sample.channels, tuple(image.shape[-2:]))
        points = sample.infrared_points, sample.visible_points
        errors = match_errors(*points, sample.truth.cpu().numpy())
        return match_picture(infrared, visible, *points, errors)
