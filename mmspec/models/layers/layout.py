"""Where the tokens of the convolution stages are kept: all of them, or those of visible patches.

For a visible patch nothing in ConvViT's first two stages but the depth-wise convolution looks
outside the patch: embeddings, point-wise convolutions, norms and MLPs act inside one 16x16 patch.
The blocks therefore work on channel-last tokens and ask a layout for the two operations that know
about space.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.masking import PatchMask


class DenseLayout:
    """Tokens of the whole image: (B, H, W, C)."""

    def embed_image(self, image: Tensor, conv: nn.Conv2d) -> Tensor:
        """Strided convolution of an image (B, C, H, W)."""
        return conv(image).permute(0, 2, 3, 1)

    def downsample(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """Strided convolution, kernel equal to stride."""
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def depthwise(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """Depth-wise convolution, same size."""
        # The permuted view of channel-last tokens *is* the channels_last memory format: no copy.
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class VisibleLayout:
    """Tokens of visible patches: (B, V, k, k, C), k tokens a side of a patch at this stage.

    Equal to the dense computation with the masked places set to zero before every depth-wise
    convolution, for V / N of its work.
    """

    def __init__(self, mask: PatchMask) -> None:
        self.mask = mask

    def embed_image(self, image: Tensor, conv: nn.Conv2d) -> Tensor:
        """Strided convolution of the visible patches of an image (B, C, H, W)."""
        rows, columns = self.mask.grid
        p = conv.kernel_size[0]
        batch, channels, height, width = image.shape
        k = height // (rows * p)
        patches = image.reshape(batch, channels, rows, k, p, columns, k, p)
        patches = patches.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(batch, rows * columns, k, k, -1)
        return F.linear(self.mask.gather(patches), conv.weight.flatten(1), conv.bias)

    def downsample(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """Strided convolution, kernel equal to stride: a linear map of s x s tokens."""
        s = conv.kernel_size[0]
        batch, visible, k, _, channels = x.shape
        groups = x.reshape(batch, visible, k // s, s, k // s, s, channels).transpose(3, 4)
        weight = conv.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(groups.flatten(4), weight, conv.bias)

    def depthwise(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """Depth-wise convolution over the image with masked places at zero, at visible places."""
        rows, columns = self.mask.grid
        batch, _, k, _, channels = x.shape
        canvas = self.mask.scatter(x).reshape(batch, rows, columns, k, k, channels).transpose(2, 3)
        canvas = canvas.reshape(batch, rows * k, columns * k, channels)
        y = conv(canvas.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = y.reshape(batch, rows, k, columns, k, channels).transpose(2, 3)
        return self.mask.gather(y.reshape(batch, rows * columns, k, k, channels))
