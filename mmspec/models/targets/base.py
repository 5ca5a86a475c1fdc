"""What every target has."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


class Target(BaseModule):
    """What a decoder is to predict of each patch, and how far its prediction is from that.

    A subclass has :meth:`forward`, and :meth:`errors` where the mean square is not meant.

    Args:
        patch_size: pixels a side of a patch; the head gives its own.
        weight: of its error, where a head has several targets.
    """

    def __init__(self, patch_size: int = 16, weight: float = 1.0) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.weight = weight
        self.register_buffer("mean", torch.zeros(1, 1, 1), persistent=False)
        self.register_buffer("std", torch.ones(1, 1, 1), persistent=False)

    def attach(self, backbone: nn.Module, data_preprocessor: nn.Module) -> None:
        """Learn, when the model is built, how its images are normalised and what encodes them."""
        if hasattr(data_preprocessor, "mean"):  # it normalises
            self.mean, self.std = data_preprocessor.mean.clone(), data_preprocessor.std.clone()

    def follow(self, backbone: nn.Module) -> None:
        """Take note of the encoder as it is when a step of training begins."""

    def gray_levels(self, images: Tensor, channels: slice) -> Tensor:
        """These channels (B, c, H, W) of normalised images in gray levels, as they were."""
        if self.mean.shape[0] == 1:
            return images[:, channels] * self.std + self.mean
        return images[:, channels] * self.std[channels] + self.mean[channels]

    def forward(self, images: Tensor, channels: slice) -> Tensor:
        """What a perfect decoder would predict: (B, N, values), without gradient.

        Args:
            images: all channels that the model has, (B, C, H, W), normalised.
            channels: those that are being reconstructed.
        """
        raise NotImplementedError

    def errors(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean square of what differs, by patch: (B, N, values) twice to (B, N)."""
        return F.mse_loss(prediction, target, reduction="none").mean(-1)
