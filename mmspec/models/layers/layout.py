"""Where the tokens of the convolution stages are kept: all of them, or those of visible patches.

For a visible patch nothing in ConvViT's first two stages but the depth-wise convolution looks
outside the patch: embeddings, point-wise convolutions, norms and MLPs act inside one 16x16 patch.
The blocks therefore work on channel-last tokens and ask a layout for the two operations that know
about space.
"""

import torch
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
        columns = mask.grid[1]
        #: (B * V,) of each visible patch: its row of patches among those of the batch, its column.
        self.places = mask.flat_ids // columns, mask.flat_ids % columns
        self._lines: dict[int, Tensor] = {}

    def embed_image(self, image: Tensor, conv: nn.Conv2d) -> Tensor:
        """Strided convolution of the visible patches of an image (B, C, H, W)."""
        rows, columns = self.mask.grid
        p = conv.kernel_size[0]
        batch, channels, height, width = image.shape
        grid = image.reshape(batch, channels, rows, height // rows, columns, width // columns)
        # Straight out of the image, of which no copy by patches is made.
        row, column = self.places
        patches = grid.permute(0, 2, 4, 1, 3, 5)[row // rows, row % rows, column]
        k = height // (rows * p)
        patches = patches.view(batch, -1, channels, k, p, k, p).permute(0, 1, 3, 5, 2, 4, 6)
        return F.linear(patches.flatten(4), conv.weight.flatten(1), conv.bias)

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
        lines = self.lines(k)
        canvas = x.new_zeros(batch * rows * k * columns, k * channels)
        canvas.index_copy_(0, lines, x.reshape(-1, k * channels))
        canvas = canvas.view(batch, rows * k, columns * k, channels)
        # As in the dense layout, the view *is* the channels_last memory format.
        y = conv(canvas.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y.reshape(-1, k * channels).index_select(0, lines).view(x.shape)

    def lines(self, k: int) -> Tensor:
        """Where each line of k tokens of a visible patch lies in the maps, in units of k tokens.

        (B * V * k,) int64. A line of a patch is contiguous in a channel-last map, so that tokens go
        there and back without a copy of the map by patches.
        """
        if k not in self._lines:
            row, column = self.places
            line = row[:, None] * k + torch.arange(k, device=row.device)
            self._lines[k] = (line * self.mask.grid[1] + column[:, None]).flatten()
        return self._lines[k]
