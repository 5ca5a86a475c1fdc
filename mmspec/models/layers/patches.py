"""Images as rows of patches and back."""

from torch import Tensor

from mmspec.masking import grid_of


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images (B, C, H, W) to patches (B, N, p * p * C), values by row, column, channel."""
    p = patch_size
    batch, channels = images.shape[:2]
    rows, columns = grid_of(*images.shape[-2:], p)
    x = images.reshape(batch, channels, rows, p, columns, p).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(batch, rows * columns, p * p * channels)


def unpatchify(patches: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """The inverse of :func:`patchify`."""
    p = patch_size
    x = patches.reshape(patches.shape[0], *grid, p, p, -1).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(x.shape[0], x.shape[1], grid[0] * p, grid[1] * p)


def on_grid(maps: Tensor) -> Tensor:
    """Maps (B, C, rows, columns), a place a patch, as patches (B, N, C)."""
    return maps.flatten(2).transpose(1, 2)
