"""Batches of images of several sizes."""

import torch
from mmengine.dataset import default_collate
from torch.nn.functional import pad

from mmspec.registry import FUNCTIONS


@FUNCTIONS.register_module()
def collate_padded(samples: list[dict]) -> dict:
    """Collate as ``default_collate`` does, images padded right and below to the largest.

    Args:
        samples: ``inputs``, (C, H, W), and other keys.

    Returns:
        ``inputs`` (B, C, H, W), ``sizes`` (B, 2) of the images within, and the other keys.
    """
    sizes = torch.tensor([sample["inputs"].shape[1:] for sample in samples])
    height, width = sizes.amax(0).tolist()
    padded = []
    for sample in samples:
        image = sample["inputs"]
        margins = (0, width - image.shape[2], 0, height - image.shape[1])
        padded.append(sample | dict(inputs=pad(image, margins) if any(margins) else image))
    return default_collate(padded) | dict(sizes=sizes)
