"""Fixed 2-D sine-cosine positions for any grid."""

import torch
from torch import Tensor


def _axis(size: int, base: int, omega: Tensor) -> Tensor:
    # Patch centres in units of the base grid: at size == base exactly 0, 1, 2, ...
    centres = (torch.arange(size, device=omega.device, dtype=omega.dtype) + 0.5) * (
        base / size
    ) - 0.5
    angle = centres[:, None] * omega
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def sincos_positions(
    grid: tuple[int, int], dims: int, base_grid: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Positions of all patches of a grid: (rows * columns, dims) float32.

    The first half of the channels encodes the column, the second the row, each as sines then
    cosines with wavelengths from 2 pi to 10000 * 2 pi (MAE, arXiv 2111.06377, appendix A.1).

    The functions are evaluated at the patches' centres measured in units of a grid of ``base_grid``
    patches a side, 14 for pre-training at 224 pixels. On that grid this is the table an encoder was
    pre-trained with; on any other it is what resizing the table interpolates, exactly and at any
    aspect ratio.
    """
    if dims % 4:
        raise ValueError(f"sine-cosine positions need a multiple of 4 channels, got {dims}")
    quarter = dims // 4
    omega = 10000.0 ** -(torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    rows, columns = grid
    by_row = _axis(rows, base_grid, omega)[:, None].expand(-1, columns, -1)
    by_column = _axis(columns, base_grid, omega)[None].expand(rows, -1, -1)
    return torch.cat([by_column, by_row], dim=-1).flatten(0, 1)
