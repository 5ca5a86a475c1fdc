"""Contrastive loss of points that correspond."""

import torch
from torch import Tensor, nn

from mmspec.registry import MODELS


@MODELS.register_module()
class DualSoftmaxLoss(nn.Module):
    """``-log P`` of the true pairs, P the product of a softmax over the others of either image.

    With similarities s of N points of one image and theirs in another, over a temperature, ``P_ij =
    softmax_j(s_ij) softmax_i(s_ij)`` (Sun et al., LoFTR, CVPR 2021, section 3.3; Rocco et al., NC
    Net, NeurIPS 2018); its negative logarithm is the sum of two InfoNCE (van den Oord et al., arXiv
    1807.03748), from the first to the second image and back. The result is the mean over valid
    points.

    Args:
        temperature: of the softmax; 0.1 in LoFTR.
        radius: points that are closer than this in the second image, in pixels, are no negatives of
            each other: bilinear descriptors of places within a cell cannot differ.
    """

    def __init__(self, temperature: float = 0.1, radius: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.radius = radius

    def forward(self, first: Tensor, second: Tensor, places: Tensor, valid: Tensor) -> Tensor:
        """The loss, a scalar, of descriptors (B, N, C) of length 1; equal numbers are a true pair.

        ``places`` (B, N, 2) are x, y of the points in the second image, in pixels. Points that are
        not ``valid`` (B, N) are neither pairs nor negatives.
        """
        similarity = (first @ second.transpose(1, 2)).float() / self.temperature
        itself = torch.eye(places.shape[1], dtype=torch.bool, device=places.device)
        # Not by a matrix product, cdist's way of many points, whose small distances are inexact.
        distance = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")
        usable = valid[:, :, None] & valid[:, None] & (distance >= self.radius)
        similarity = similarity.masked_fill(~(usable | itself), -torch.inf)
        true = similarity.diagonal(dim1=1, dim2=2)
        losses = similarity.logsumexp(1) + similarity.logsumexp(2) - 2 * true
        return (losses * valid).sum() / valid.sum().clamp(min=1)
