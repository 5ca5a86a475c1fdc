"""Convolution at chosen places only (guided anchoring), with mmcv's names and arguments."""

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Lay the neighbourhood of each chosen place into a column of ``col``, in place.

    Args:
        im: (1, C, H, W), any dtype.
        mask_h_idx, mask_w_idx: (M,) int64, rows and columns of the output (stride 1).
        col: (C * kernel_h * kernel_w, M), overwritten.
    """
    # Enough below and to the right for any place of the map, however small the padding.
    padded = F.pad(im[0], (pad_w, kernel_w, pad_h, kernel_h))
    rows = mask_h_idx[:, None] + torch.arange(kernel_h, device=im.device)
    columns = mask_w_idx[:, None] + torch.arange(kernel_w, device=im.device)
    patches = padded[:, rows.T[:, None], columns.T[None]]  # C, kernel_h, kernel_w, M
    col.copy_(patches.reshape(col.shape))


def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Put the columns of ``col`` (channels, M) at their places of ``im`` (1, C, H, W), in place."""
    im[0, :, mask_h_idx, mask_w_idx] = col
