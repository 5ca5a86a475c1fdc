"""What makes features of images: a checkpoint's encoder, one of random weights, or none at all."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmspec.checkpoints import find_checkpoint, load_encoder, read_checkpoint
from mmspec.models.backbones.conv_vit import ARCHS, ConvViT
from mmspec.models.backbones.masked_swin import MaskedSwin
from mmspec.models.backbones.masked_vit import MaskedViT
from mmspec.models.data_preprocessors.rgbt import IMAGENET_MEAN, IMAGENET_STD
from mmspec.models.input_check import unwatched
from mmspec.models.layers.position import sincos_positions

#: Gray levels are normalised as in pre-training. Where nothing tells how, as InfMAE's are.
MEAN_STD = ([108.375], [51.0])
#: Published files of these layouts were trained on colours.
_COLOURS = ("MAE / timm ViT", "M-SpecGene")
WITHOUT_WEIGHTS = ("random", "pixels", "positions")
_POSITIONS = 96  # channels


class ProbeError(ValueError):
    """A probe that cannot be made; the message says why."""


class FrozenEncoder(nn.Module):
    """Maps of images by weights that do not change.

    ======================  ====================================================================
    ``source``              maps by name
    ======================  ====================================================================
    a checkpoint            of a ConvViT F1, F2, F3 (at 1/4, 1/8, 1/16), of a Swin transformer F4
                            (1/32) too; of a ViT its blocks at a third, a half, two thirds and the
                            end (``block4`` ...)
    a name                  the same of an encoder that mmspec ships
    ``'random'``            the same of a network of ``arch`` as it starts, drawn by ``seed``
    ``'pixels'``            ``pixels``: the gray levels of each cell of 8 x 8
    ``'positions'``         ``positions``: where a cell of 16 x 16 lies, by sines and cosines
    a backbone              its maps, by the weights that it has when it is called, in evaluation
                            mode
    ======================  ====================================================================

    Args:
        source: see above.
        arch: of 'random': 'tiny', 'small' or 'base' of ConvViT, or a checkpoint whose architecture
            it has; of a checkpoint see :func:`mmspec.load_encoder`.
        seed: of random weights.
        maps: names of the maps that are wanted; None: all.
        mean_std: mean and std of gray levels, by channel; None: those that the checkpoint, or that
            of ``arch``, was trained with, by its config, its header or its layout.

    Attributes:
        stride: pixels of a cell of the coarsest map.

    Raises:
        ProbeError: no such architecture, or a map that the encoder does not have.
        FileNotFoundError: no such checkpoint.
    """

    stride = 16

    def __init__(
        self,
        source: str | nn.Module,
        arch: str | dict | None = None,
        seed: int = 0,
        maps: Sequence[str] | None = None,
        mean_std: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self._text = None
        self.mean_std = mean_std or MEAN_STD
        if isinstance(source, nn.Module):
            # Not a part of this module, which would freeze it.
            object.__setattr__(self, "backbone", source)
            self.name = type(source).__name__
            self._settle_maps(maps)
            return
        self.name, self.backbone = source, None
        text = f"{source} {seed if source == 'random' else ''} {arch}"
        if source == "random":
            if arch is not None and arch not in ARCHS:
                try:
                    text = _digest(arch) + text
                except FileNotFoundError:
                    words = f"{', '.join(ARCHS)}, or a file"
                    raise ProbeError(f"random weights of arch={arch!r}: {words}") from None
            with quiet(), torch.random.fork_rng():
                torch.manual_seed(seed)
                self.backbone = _untrained(arch or "tiny")
            if arch is not None and arch not in ARCHS:
                self.mean_std = mean_std or _mean_std(arch)
        elif source not in WITHOUT_WEIGHTS:
            try:
                text = _digest(source) + str(arch)
            except FileNotFoundError as error:
                others = f"an encoder is a file or one of {', '.join(WITHOUT_WEIGHTS)}"
                raise FileNotFoundError(f"{error}; {others}") from None
            self.backbone = _loaded(source, arch)
            self.mean_std = mean_std or _mean_std(source)
            self.name = str(Path(source).with_suffix(""))  # many are called epoch_20
        self._text = text
        self._settle_maps(maps)
        self.eval().requires_grad_(False)

    @property
    def key(self) -> str:
        """Equal keys, equal maps: of a backbone by its weights as they are now."""
        digest = hashlib.sha256(f"{self._text} {self.names} {self.mean_std}".encode())
        if self._text is None:
            digest.update(f"{self.backbone}".encode())
            for name, value in self.backbone.state_dict().items():
                digest.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _settle_maps(self, wanted: Sequence[str] | None) -> None:
        self.all_names = (self.name,)
        if self.backbone is not None:
            word = "block" if isinstance(self.backbone, MaskedViT) else "F"
            self.all_names = tuple(f"{word}{index + 1}" for index in self.backbone.out_indices)
            self.stride = max(getattr(self.backbone, "out_strides", [self.stride]))
        for name in wanted or ():
            if name not in self.all_names:
                raise ProbeError(f"{self.name} has no map {name!r}: {', '.join(self.all_names)}")
        self.names = tuple(name for name in self.all_names if not wanted or name in wanted)

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (B, C, h, w) float32 by name of gray images (B, 1, H, W), levels of 0 to 255."""
        mean, std = (images.new_tensor(x, dtype=torch.float).view(-1, 1, 1) for x in self.mean_std)
        return dict(zip(self.names, self.maps((images.float() - mean) / std)))

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps of normalised images (B, 1 or 3, H, W)."""
        if self.backbone is not None:
            kernel = next(weight for weight in self.backbone.parameters() if weight.dim() == 4)
            if x.shape[1] != kernel.shape[1]:
                x = x.mean(1, keepdim=True).repeat(1, kernel.shape[1], 1, 1)
            with _evaluated(self.backbone):
                maps = dict(zip(self.all_names, self.backbone(x.to(kernel.device))))
            return tuple(maps[name] for name in self.names)
        if self.name == "pixels":
            return (F.pixel_unshuffle(x.mean(1, keepdim=True), 8),)
        grid = tuple(side // 16 for side in x.shape[-2:])
        where = sincos_positions(grid, _POSITIONS, 14).T.reshape(1, _POSITIONS, *grid)
        return (where.expand(len(x), -1, -1, -1).to(x.device),)


def _mean_std(checkpoint: str) -> tuple[Sequence[float], Sequence[float]]:
    info = read_checkpoint(checkpoint)[1]
    if info.mean_std is None and info.layout in _COLOURS:
        return IMAGENET_MEAN, IMAGENET_STD
    return info.mean_std or MEAN_STD


def _digest(checkpoint: str) -> str:
    return hashlib.sha256(find_checkpoint(checkpoint).read_bytes()).hexdigest()


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with unwatched(network):
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def quiet() -> Iterator[None]:
    """Let mmengine log nothing below a warning: neither weights as they are drawn nor tables."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def _untrained(arch: str) -> nn.Module:
    """A network with weights as they start, of a named architecture or that of a checkpoint."""
    if arch in ARCHS:
        backbone = ConvViT(arch, out_indices=(0, 1, 2))
    else:
        backbone = _loaded(arch, None)
        for module in backbone.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            module._is_init = False  # of mmengine: drawn already
    backbone.init_weights()
    return backbone


def _loaded(source: str, arch: str | dict | None) -> nn.Module:
    backbone, _ = load_encoder(source, arch)
    if isinstance(backbone, ConvViT):
        indices = (0, 1, 2)
    elif isinstance(backbone, MaskedSwin):
        indices = (0, 1, 2, 3)
    else:
        depth = backbone.num_layers
        blocks = sorted({depth // 3, depth // 2, 2 * depth // 3, depth} - {0})
        indices = tuple(block - 1 for block in blocks)
    return load_encoder(source, arch, out_indices=indices)[0]
