"""Pictures of the first images of a validation or a test."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor

from mmspec.datasets.transforms.rgbt import VISIBLE


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
