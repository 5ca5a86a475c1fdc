"""``InfraredPhotometric`` and ``VisiblePhotometric`` of a batch of images, on their device.

The draws are each image's own, as in the loader. For equal draws levels are the loader's within
one, but for a few colours of a thousand whose hue falls on the other side of a byte there.
"""

import torch
from torch import Tensor

from mmspec.photometry import VISIBLE_HIGH, VISIBLE_LOW, InfraredChanges

HUE = 3  # of brightness, contrast, saturation and hue


def draw_infrared(count: int, changes: InfraredChanges, device: torch.device) -> tuple[Tensor, ...]:
    """Draw gain, offset, gamma and noise, (B, 1, 1, 1) each; what changes nothing if not drawn."""
    drawn, share = torch.rand(2, 4, count, 1, 1, 1, device=device)
    gain, offset, gamma, noise = share
    low, high = zip(changes.gain, changes.offset, changes.gamma, changes.noise)
    values = (
        low[0] * (high[0] / low[0]) ** gain,  # uniform in the logarithm
        low[1] + (high[1] - low[1]) * offset,
        low[2] * (high[2] / low[2]) ** gamma,
        low[3] + (high[3] - low[3]) * noise,
    )
    return tuple(
        torch.where(one_drawn < changes.prob, value, neutral)
        for one_drawn, value, neutral in zip(drawn, values, (1.0, 0.0, 1.0, 0.0))
    )


def change_infrared(
    images: Tensor, gain: Tensor, offset: Tensor, gamma: Tensor, noise: Tensor
) -> Tensor:
    """Change uint8 or float32 images (B, C, H, W) of 0..255, by factors (B, 1, 1, 1)."""
    levels = images.float()
    contrast, mean = torch.std_mean(levels, (1, 2, 3), correction=0, keepdim=True)
    levels = (mean + gain * (levels - mean) + offset * contrast).clamp(0, 255)
    levels = 255 * (levels / 255) ** gamma
    added = torch.randn_like(levels[:, :1]) * (noise * contrast)
    if images.dtype == torch.uint8:
        return (levels.round() + added.round()).clamp(0, 255).to(torch.uint8)
    return (levels + added).clamp(0, 255)


def draw_visible(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw the strengths (B, 4) of brightness, contrast, saturation and hue, and their order."""
    share, place = torch.rand(2, count, 4, device=device)
    strengths = [
        low + (high - low) * its_share
        for low, high, its_share in zip(VISIBLE_LOW, VISIBLE_HIGH, share.unbind(1))
    ]
    return torch.stack(strengths, 1), place.argsort(1)


def change_visible(images: Tensor, strengths: Tensor, order: Tensor) -> Tensor:
    """Change uint8 images (B, 3, H, W), red first, by what :func:`draw_visible` gives.

    An image takes its steps in an order of its own. Hue aside each step is linear in a colour and
    its gray, so that one formula serves all three: those before hue, hue, those behind.
    """
    levels = images.float()
    places = order.argsort(1)  # of the steps in the order
    before_hue = places[:, HUE:]
    linear = places[:, :HUE].argsort(1)
    factors = strengths.gather(1, linear)
    for first in (True, False):
        for i in range(HUE):
            acts = (before_hue > i) == first
            levels = _change(levels, linear[:, i : i + 1], factors[:, i : i + 1], acts)
        if first:
            levels = _turn_hue(levels, strengths[:, HUE])
    return levels.to(torch.uint8)


def _change(levels: Tensor, step: Tensor, factor: Tensor, acts: Tensor) -> Tensor:
    """Brightness (0), contrast (1) or saturation (2) of each image; (B, 1) all but ``levels``."""
    red, green, blue = levels.split(1, 1)
    gray = (0.299 * red + 0.587 * green + 0.114 * blue).round()
    step, factor, acts = (x[..., None, None] for x in (step, factor, acts))
    away = torch.where(step == 1, gray.mean((1, 2, 3), keepdim=True).round(), gray)
    changed = factor * levels + torch.where(step == 0, 0.0, (1 - factor) * away)
    # OpenCV rounds sums of images; the tables of the loader's other steps are cut.
    changed = (changed.clamp(0, 255) + 0.5 * (step == 2)).floor()
    return torch.where(acts, changed, levels)


def _turn_hue(levels: Tensor, turn: Tensor) -> Tensor:
    """Turn hues by shares of a circle, (B,), as OpenCV does, whose circle has 256 hues one way and
    255 the other."""
    red, green, blue = levels.split(1, 1)
    value = levels.amax(1, keepdim=True)
    spread = value - levels.amin(1, keepdim=True)
    sixths = torch.where(
        value == red, green - blue, torch.where(value == green, blue - red, red - green)
    ) / spread.clamp(min=1)
    sixths = sixths + torch.where(value == red, 0.0, torch.where(value == green, 2.0, 4.0))
    hue = (sixths * 256 / 6).round() + (turn * 255).trunc()[:, None, None, None]
    saturation = (255 * spread / value.clamp(min=1)).round() / 255
    offsets = torch.arange(5, 0, -2, device=levels.device)[:, None, None]  # red, green, blue
    place = (offsets + hue % 256 * 6 / 255) % 6
    return (value * (1 - saturation * torch.minimum(place, 4 - place).clamp(0, 1))).round()
