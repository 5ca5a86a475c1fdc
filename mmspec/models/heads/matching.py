"""Descriptors for matching, on a frozen encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmspec.conventions import MODALITIES
from mmspec.matching.features import check_cells
from mmspec.registry import MODELS

from ..earlier_names import take_earlier_names


@MODELS.register_module()
class MatchingHead(BaseModule):
    """Unit descriptors of both images of a pair, alike where they show the same point of the scene.

    The maps of the encoder tell what is where to a patch of 16 pixels. Two strided convolutions on
    the pixels tell where within it; their map, at 1/4 of the image, gets each of the encoder's maps
    added by a 1x1 convolution and bilinear interpolation. All of this each modality has for itself,
    since one camera's edges are not the other's; the convolutions (3x3, 3x3, 1x1) behind the sum
    are shared. Pixels and maps enter with mean 0 and standard deviation 1 of each channel over the
    image, so that gains, offsets and what is the same all over an image of one sensor are gone; of
    the pixels the contrast is then made even over the image.

    Trained as local features usually are: by the contrastive loss of :class:`DualSoftmaxLoss` of
    descriptors at random points of the infrared image and theirs in the visible one.

    Args:
        in_channels: of the encoder's maps that are used.
        channels: of the head and its descriptors, a multiple of 16.
        num_points: of each pair in a step.
        loss: of the points, :class:`DualSoftmaxLoss` by default.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        num_points: int = 512,
        loss: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if channels < 16 or channels % 16:
            raise ValueError(f"channels must be a multiple of 16, got {channels}")
        self.num_points = num_points
        self.embeddings = nn.ModuleDict(
            {name: _Embedding(in_channels, channels) for name in MODALITIES}
        )
        self.shared = nn.Sequential(
            _conv(channels, channels, kernel_size=3, padding=1),
            _conv(channels, channels, kernel_size=3, padding=1),
            nn.Conv2d(channels, channels, 1),
        )
        loss = loss or dict(type="mmspec.DualSoftmaxLoss")
        self.criterion = MODELS.build(loss) if isinstance(loss, dict) else loss
        take_earlier_names(self)

    def forward(self, pairs: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Descriptors of either image, (B, channels, H / 4, W / 4), vectors of length 1.

        From normalised pairs (B, 6, H, W) and the encoder's maps (2 B, C, h, w), infrared first.
        """
        images = pairs.chunk(2, dim=1)
        sides = zip(MODALITIES, images, zip(*(each.chunk(2) for each in maps)))
        embedded = [self.embeddings[name](image, own) for name, image, own in sides]
        return F.normalize(self.shared(torch.cat(embedded)), dim=1).chunk(2)

    def loss(
        self, infrared: Tensor, visible: Tensor, truth: Tensor, shape: tuple[int, int]
    ) -> dict[str, Tensor]:
        """``loss``, and ``matched``: percent of the points whose nearest one in the visible image
        is theirs.

        From descriptors (B, C, h, w), the homographies (B, 3, 3) from pixels of infrared to those
        of visible images, and (H, W) of the images.
        """
        height, width = shape
        draws = torch.rand(len(truth), self.num_points, 2, device=truth.device)
        points = torch.stack([draws[..., 0] * width, draws[..., 1] * height], dim=-1) - 0.5
        places = project(points, truth.float())
        x, y = places.unbind(-1)
        valid = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        # A place on the horizon is infinite, and what is not valid must be finite all the same.
        places = torch.where(valid[..., None], places, 0.0)
        first, second = sample(infrared, points, shape), sample(visible, places, shape)
        with torch.no_grad():
            nearest = (first @ second.transpose(1, 2)).argmax(2)
            matched = nearest == torch.arange(self.num_points, device=nearest.device)
        return dict(
            loss=self.criterion(first, second, places, valid),
            matched=100 * (matched & valid).sum() / valid.sum().clamp(min=1),
        )


class _Embedding(nn.Module):
    """Of the images of one modality and their maps, at 1/4 of the image."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        # Of even size: with three taps the centres of the map's cells would lie beside those of the
        # pixels that they cover.
        halving = dict(kernel_size=4, stride=2, padding=1)
        self.pixels = nn.Sequential(
            nn.InstanceNorm2d(3),
            _LocalContrast(),
            _conv(3, channels // 2, **halving),
            _conv(channels // 2, channels, **halving),
        )
        self.maps = nn.ModuleList(
            nn.Sequential(nn.InstanceNorm2d(own), nn.Conv2d(own, channels, 1))
            for own in in_channels
        )
        # The head starts on the pixels alone, and the maps come in slowly, see below: what they say
        # beside positions is hard to find, and until then they are in the way.
        for _, projection in self.maps:
            nn.init.zeros_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, images: Tensor, maps: Sequence[Tensor]) -> Tensor:
        if len(maps) != len(self.maps):
            raise ValueError(
                f"MatchingHead: in_channels are of {len(self.maps)} maps, the encoder gives"
                f" {len(maps)}; see its out_indices"
            )
        embedded = self.pixels(images)
        for projection, own in zip(self.maps, maps):
            check_cells(own, images.shape[-2:])
            # Adam moves every weight alike, and so a sum over C channels C times as far as one:
            # vectors of about unit length in place of unit deviation.
            added = projection(own) / projection[1].in_channels ** 0.5
            embedded = embedded + F.interpolate(added, size=embedded.shape[-2:], mode="bilinear")
        return embedded


class _LocalContrast(nn.Module):
    """Pixels less the mean around them, over the standard deviation around them.

    Local contrast normalisation (Jarrett et al., What is the best multi-stage architecture for
    object recognition?, ICCV 2009): edges as strong in shade as in light, and of a warm road as of
    a cold one. Input of a standard deviation of 1 over the image.
    """

    window = 15  # pixels
    floor = 0.1  # of the deviation: noise of an empty sky is not blown up

    def forward(self, images: Tensor) -> Tensor:
        around = dict(
            kernel_size=self.window, stride=1, padding=self.window // 2, count_include_pad=False
        )
        difference = images - F.avg_pool2d(images, **around)
        deviation = F.avg_pool2d(difference.square(), **around).sqrt()
        return difference / (deviation + self.floor)


def _conv(in_channels: int, out_channels: int, **kwargs) -> ConvModule:
    groups = dict(type="GN", num_groups=out_channels // 8)
    return ConvModule(in_channels, out_channels, norm_cfg=groups, **kwargs)


def project(points: Tensor, homography: Tensor) -> Tensor:
    """Where homographies (B, 3, 3) take points (B, N, 2), x and y in pixels."""
    # Products and sums, not a matrix product, which mixed precision would take in half of the bits.
    linear, offset = homography[:, None, :, :2], homography[:, None, :, 2]
    mapped = (linear * points[:, :, None]).sum(-1) + offset
    return mapped[..., :2] / mapped[..., 2:]


def sample(maps: Tensor, points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Unit vectors (B, N, C) of maps (B, C, h, w) at points of images (H, W), bilinearly.

    Points are (B, N, 2), x and y in pixels; the first pixel's centre is (0, 0). Beyond the centres
    of the outermost cells a map goes on as there.
    """
    height, width = shape
    x, y = points.unbind(-1)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    found = F.grid_sample(
        maps.float(), grid[:, :, None], padding_mode="border", align_corners=False
    )
    return F.normalize(found[..., 0].transpose(1, 2), dim=2)
