"""Notice images that reach an encoder without contrast, whoever loaded them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

BATCHES = 3  # that are looked at; each costs one wait for the device
FEWEST_LEVELS = 16
LEAST_STD = 0.05  # of normalised pixels, about 3 of 255 gray levels
LARGEST_MEAN = 10.0  # of the absolute values of normalised pixels


def is_traced() -> bool:
    """Whether an export or a compilation runs the model, where hooks must leave no trace."""
    # torch 2.1 has it elsewhere.
    compiling = getattr(torch.compiler, "is_compiling", None) or torch._dynamo.is_compiling
    return torch.jit.is_tracing() or compiling()


def watch_input(encoder: nn.Module) -> None:
    """Have an encoder's first batches looked at, and a warning logged once.

    Frames of 14 or 16 bits that another loader cuts to 8 arrive as a few gray levels: training runs
    and the loss falls all the same. Warned of are batches whose images all hold no more than 16
    levels or vary by less than 0.05, and pixels that were not normalised. A legitimate data set of
    low contrast gets the warning too, and no more. Later batches cost nothing.
    """
    encoder.register_forward_pre_hook(_InputCheck())


def look_at_input(encoder: nn.Module, images: Tensor) -> None:
    """Have images looked at that reach an encoder by another way than its ``forward``."""
    for check in _checks(encoder):
        check(encoder, (images,))


@contextmanager
def unwatched(encoder: nn.Module) -> Iterator[None]:
    """Leave the batches inside out of the count: they are not those of the training."""
    left = [(check, check.left) for check in _checks(encoder)]
    for check, _ in left:
        check.left = 0
    try:
        yield
    finally:
        for check, count in left:
            check.left = count


def _checks(encoder: nn.Module) -> list[_InputCheck]:
    return [hook for hook in encoder._forward_pre_hooks.values() if isinstance(hook, _InputCheck)]


class _InputCheck:
    def __init__(self) -> None:
        self.left = BATCHES
        self.flat = True

    def __call__(self, encoder: nn.Module, args: tuple) -> None:
        if is_traced() or self.left == 0 or not args or getattr(args[0], "ndim", 0) != 4:
            return
        self.left -= 1
        pixels = args[0].detach().float()
        if pixels.abs().mean() > LARGEST_MEAN:
            self._tell(
                encoder,
                f"its pixels are {pixels.mean():.0f} in the mean, as if they were not normalised;"
                " give the data_preprocessor mean and std in gray levels",
            )
            return
        self.flat = self.flat and all(map(_is_flat, pixels))
        if self.left == 0 and self.flat:
            levels = len(torch.unique(pixels[0, 0]))
            self._tell(
                encoder,
                f"the images of its first {BATCHES} batches have hardly any contrast ({levels} gray"
                f" levels and std {pixels[0, 0].std():.3f} in the last). Frames of more than 8 bits"
                " look like this when another loader cuts them; load them by"
                " dict(type='mmspec.LoadInfraredImageFromFile', color_type='color') or"
                " dict(type='mmspec.LoadRGBTImageFromFile')",
            )

    def _tell(self, encoder: nn.Module, message: str) -> None:
        self.left = 0
        print_log(f"{type(encoder).__name__}: {message}", logger="current", level=logging.WARNING)


def _is_flat(image: Tensor) -> bool:
    """Whether an image (C, H, W) is; its border may be padding."""
    height, width = image.shape[1:]
    middle = image[0, height // 4 : height - height // 4, width // 4 : width - width // 4]
    return bool(middle.std(unbiased=False) < LEAST_STD) or (
        len(torch.unique(middle)) <= FEWEST_LEVELS
    )
