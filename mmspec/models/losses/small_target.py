"""Losses of infrared small target detection, for ``loss_decode`` of mmseg's heads."""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import MODELS


class SmallTargetLoss(nn.Module):
    """What the losses have in common: probabilities and truth of the pixels that count.

    Called as mmseg's heads call a loss: ``pred`` logits, (B, 1, H, W) for a sigmoid or (B, 2, H, W)
    of background and target for a softmax; ``target`` (B, H, W) of 0, 1 and ``ignore_index``;
    ``weight`` (B, H, W) of pixels, or None. Sums run in float32 whatever the logits. The result is
    the mean over images, or of a batch as one, a scalar.

    ``loss_weight`` is a factor; ``loss_name``, the name in the log, has to begin with 'loss_' to be
    trained on.
    """

    def __init__(self, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = IGNORE_INDEX,
    ) -> Tensor:
        if pred.shape[1] not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: logits of {pred.shape[1]} channels; give a head"
                " out_channels=1 (sigmoid) or 2 (softmax)"
            )
        pred = pred.float()
        logits = pred[:, 0] if pred.shape[1] == 1 else pred[:, 1] - pred[:, 0]
        counted = (target != ignore_index).float()
        if weight is not None:
            counted = counted * weight
        truth = (target == 1).float() * counted
        return self.loss_weight * self.of_images(logits.sigmoid() * counted, truth).mean()

    @abstractmethod
    def of_images(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Loss of each image, (B,), or of all as one, (1,), from (B, H, W) probabilities and truth,
        which are 0 where ignored."""


@MODELS.register_module()
class SoftIoULoss(SmallTargetLoss):
    """``1 - (sum pg + 1) / (sum p + sum g - sum pg + 1)`` of each image, or of a batch as one.

    With probabilities p and truth g. The one that is added lets an image without target push its
    probabilities down, and makes a perfect one 0.

    Args:
        over: 'image': every image counts alike, with few pixels, many or no target. 'batch': every
            pixel counts alike, as in the IoU over all images that papers print.
    """

    def __init__(
        self, loss_weight: float = 1.0, loss_name: str = "loss_soft_iou", over: str = "image"
    ) -> None:
        super().__init__(loss_weight, loss_name)
        self.over = _checked(over)

    def of_images(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return 1 - _soft_iou(predicted, truth, self.over)


@MODELS.register_module()
class SLSLoss(SmallTargetLoss):
    """Scale- and location-sensitive loss (Liu et al., MSHNet, CVPR 2024, arXiv 2403.19366).

    The sum of a scale term and a location term of each image, from the paper's section on the loss.
    With P and G the sums of the probabilities and of the truth::

        L_S = 1 - w IoU        w = (min(P, G) + v) / (max(P, G) + v)    v = ((P - G) / 2)^2
        L_L = 1 - min(d_p, d_g) / max(d_p, d_g) + 4 / pi^2 (theta_p - theta_g)^2

    where v is the variance of P and G, and (d, theta) are the centroid of the probabilities and of
    the truth in polar coordinates about the upper left corner.

    The first calls in training take :class:`SoftIoULoss` instead: while probabilities are spread
    over the image their centroid says nothing, and training by it from the start stalls. The count
    is a buffer, so that a resumed run goes on.

    Deviations: one is added to numerator and denominator of the IoU and of w, as in
    :class:`SoftIoULoss`, without which an image without target has no gradient; the location term
    of such an image, which has no centroid, is 0; centroids are those of pixel centres, so that no
    distance is 0.

    Args:
        warmup: calls before the loss begins. The authors' five epochs of IRSTD-1k in batches of
            four are 1,000.
        over: of the SoftIoU before; scale and location are those of an image.
    """

    calls: Tensor

    def __init__(
        self,
        warmup: int = 1000,
        loss_weight: float = 1.0,
        loss_name: str = "loss_sls",
        over: str = "image",
    ) -> None:
        super().__init__(loss_weight, loss_name)
        self.warmup = warmup
        self.over = _checked(over)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def of_images(self, predicted: Tensor, truth: Tensor) -> Tensor:
        begun = self.calls >= self.warmup
        if self.training:
            self.calls = self.calls + 1
        scaled = _scale_weight(predicted, truth) * _soft_iou(predicted, truth)
        sensitive = 1 - scaled + _location(predicted, truth)
        # Not an if: that would wait for the device in every step.
        return torch.where(begun, sensitive, 1 - _soft_iou(predicted, truth, self.over))


def _scale_weight(predicted: Tensor, truth: Tensor) -> Tensor:
    """w of :class:`SLSLoss`, (B,)."""
    total_p, total_g = predicted.sum((1, 2)), truth.sum((1, 2))
    difference = (total_p - total_g).abs()
    # 1 - (max - min) / (max + v + 1): the quotient itself loses its digits where v is huge.
    return 1 - difference / (torch.maximum(total_p, total_g) + difference**2 / 4 + 1)


def _location(predicted: Tensor, truth: Tensor) -> Tensor:
    """L_L of :class:`SLSLoss`; 0 without truth."""
    distance_p, angle_p = _polar_centroid(predicted)
    distance_g, angle_g = _polar_centroid(truth)
    nearest = torch.minimum(distance_p, distance_g) / torch.maximum(distance_p, distance_g)
    location = 1 - nearest + 4 / math.pi**2 * (angle_p - angle_g) ** 2
    return torch.where(truth.sum((1, 2)) > 0, location, torch.zeros_like(location))


def _checked(over: str) -> str:
    if over not in ("image", "batch"):
        raise ValueError(f"over must be 'image' or 'batch', got {over!r}")
    return over


def _soft_iou(predicted: Tensor, truth: Tensor, over: str = "image") -> Tensor:
    if over == "batch":
        predicted, truth = predicted.flatten(0, 1)[None], truth.flatten(0, 1)[None]
    both = predicted.where(truth > 0, 0).sum((1, 2))  # a product would hold weights squared
    return (both + 1) / (predicted.sum((1, 2)) + truth.sum((1, 2)) - both + 1)


def _polar_centroid(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Distance in pixels and angle of the centroid of weights (B, H, W), about the corner.

    Without weights the centroid is that of the corner pixel, and passes no gradient on.
    """
    height, width = weights.shape[1:]
    rows = torch.arange(height, device=weights.device) + 0.5
    columns = torch.arange(width, device=weights.device) + 0.5
    mass = weights.sum((1, 2)).clamp(min=torch.finfo(weights.dtype).tiny)
    y = ((weights.sum(2) * rows).sum(1) / mass).clamp(min=0.5)
    x = ((weights.sum(1) * columns).sum(1) / mass).clamp(min=0.5)
    return torch.hypot(x, y), torch.atan2(y, x)
