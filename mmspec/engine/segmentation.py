"""Pictures of segmentation results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor

from mmspec.registry import HOOKS
from mmspec.visualization.segmentation import segmentation_picture


@HOOKS.register_module()
class SegmentationOverlayHook(Hook):
    """Writes prediction and truth over the input, for the first images of a validation or a test.

    The pictures go to ``WORK_DIR/overlays/iter_N`` and ``WORK_DIR/overlays/test``, one an image,
    named by its number and file. mmseg's own hook reads the file again and shows it as it is;
    infrared needs a display gain, may be deeper than 8 bits, or sit in a channel of another image,
    so that this one shows what the pipeline loaded.

    Args:
        num_images: how many; None: all.
        out_dir: another folder for the pictures of a test.
    """

    def __init__(self, num_images: int | None = 8, out_dir: str | None = None) -> None:
        self.num_images = num_images
        self.out_dir = out_dir
        self.written = 0

    def before_val_epoch(self, runner: Runner) -> None:
        self.written = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self.written = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        folder = Path(runner.work_dir) / "overlays" / f"iter_{runner.iter:06d}"
        self._write(folder, data_batch["inputs"], outputs, runner.val_dataloader.dataset)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        folder = Path(self.out_dir or Path(runner.work_dir) / "overlays" / "test")
        self._write(folder, data_batch["inputs"], outputs, runner.test_dataloader.dataset)

    @master_only
    def _write(self, folder: Path, inputs: Sequence[Tensor], outputs: Sequence, dataset) -> None:
        for image, sample in zip(inputs, outputs):
            if self.num_images is not None and self.written >= self.num_images:
                return
            prediction = sample.pred_sem_seg.data[0].cpu().numpy()
            truth = sample.gt_sem_seg.data[0].cpu().numpy() if "gt_sem_seg" in sample else None
            picture = segmentation_picture(
                loaded_image(image, prediction.shape),
                prediction,
                truth,
                dataset.metainfo["classes"],
            )
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{self.written:04d}_{Path(sample.img_path).stem}.png"
            Image.fromarray(picture).save(folder / name)
            self.written += 1


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
