"""Pictures of the first images of a validation or a test."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor


class PictureHook(Hook):
    """Writes a picture of the first images of every validation and of a test.

    They go to ``WORK_DIR/FOLDER/iter_N`` and ``WORK_DIR/FOLDER/test``, one an image, named by its
    number and file. The hooks of mmseg and mmdet read the file again and show it as it is; infrared
    needs a display gain, may be deeper than 8 bits, or sit in a channel of another image, so that
    these show what the pipeline loaded.

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
        folder = Path(self.out_dir or Path(runner.work_dir) / self.folder / "test")
        self._write(folder, data_batch["inputs"], outputs, runner.test_dataloader.dataset)

    def _write(self, folder: Path, inputs: Sequence[Tensor], outputs: Sequence, dataset) -> None:
        rank, processes = get_dist_info()
        for image, sample in zip(inputs, outputs):
            # The sampler deals the images out in turn; the first ones again fill the last round.
            number = processes * self.seen + rank
            self.seen += 1
            wanted = len(dataset) if self.num_images is None else self.num_images
            if number >= min(wanted, len(dataset)):
                return
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
