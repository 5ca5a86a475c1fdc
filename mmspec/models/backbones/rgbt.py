"""Any encoder over aligned infrared and visible images."""

import copy
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleDict, ModuleList
from torch import Tensor

from mmspec.conventions import MODALITIES
from mmspec.registry import MODELS

from ..layers.fusion import FUSIONS
from ..strides import StrideCheck

_PROBE_SIZE = 64  # pixels a side; every encoder's coarsest map has a place then


@MODELS.register_module()
class RGBTBackbone(BaseModule):
    """An encoder over two modalities, whose maps are fused at each level (M-SpecGene, ICCV 2025).

    ``backbone=dict(type='mmspec.RGBTBackbone', backbone=dict(type='mmspec.MaskedViT', ...,
    init_cfg=dict(type='mmspec.PretrainedEncoder', checkpoint='mspecgene.pth')))``. A checkpoint
    belongs in the inner dict. With shared weights both modalities go through the encoder in one
    batch of 2B images, the infrared ones first; batch norms then have common statistics.

    In place of an absent modality's maps the present one's are fused with themselves (``concat``
    repeats them, ``sum`` doubles them, ``max`` and ``gated`` give them back): heads see features in
    the range they know, which zeros would not give. A modality is absent where its three channels
    of an image are all exactly 0: so ``RGBTDetDataPreprocessor`` and ``RGBTSegDataPreprocessor``
    mark images that are black throughout, as ``DropModality`` makes them. In a batch of three
    channels the other modality is absent everywhere and costs nothing.

    Args:
        backbone: config of any encoder of images (N, 3, H, W) that returns maps (N, C, H', W').
        fusion: 'concat', 'sum', 'max', 'gated', or the config of a module. It is built for each
            level with ``in_channels=C``, called with the infrared and the visible map, and tells
            the channels of what it returns by ``out_channels``.
        shared: one set of weights; else one encoder a modality, both started alike by ``init_cfg``.
        modality: what images of three channels are: 'infrared' or 'visible'. Separate weights need
            to know, shared ones do not.
    """

    def __init__(
        self,
        backbone: dict,
        fusion: str | dict = "concat",
        shared: bool = True,
        modality: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(fusion, str) and fusion not in FUSIONS:
            known = ", ".join(map(repr, FUSIONS))
            raise ValueError(f"fusion={fusion!r}: {known}, or the config of a module")
        self.shared = shared
        if modality not in (None, *MODALITIES):
            raise ValueError(f"modality={modality!r}: 'infrared' or 'visible'")
        self.modality = modality
        names = ("both",) if shared else MODALITIES
        self.encoders = ModuleDict({name: MODELS.build(copy.deepcopy(backbone)) for name in names})
        maps = self._probe_maps()
        self.out_strides = tuple(_PROBE_SIZE // m.shape[-1] for m in maps)
        self.fusions = ModuleList(
            FUSIONS[fusion](m.shape[1])
            if isinstance(fusion, str)
            else MODELS.build({**fusion, "in_channels": m.shape[1]})
            for m in maps
        )
        self.register_forward_pre_hook(StrideCheck())

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the encoder can give, or of those that it gives."""
        return getattr(next(iter(self.encoders.values())), "strides", self.out_strides)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each fused map."""
        return tuple(fusion.out_channels for fusion in self.fusions)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Fused maps of normalised images: (B, C_i, H_i, W_i) of each level, contiguous.

        Images are (B, 6, H, W), three infrared channels, then red, green, blue; (B, 4, H, W), one
        infrared channel instead; or (B, 3, H, W) of one modality.
        """
        if x.shape[1] == 3:
            name = "both" if self.shared else self.modality
            if name is None:
                raise ValueError(
                    "RGBTBackbone(shared=False) got images of three channels and does not know"
                    " which encoder is theirs; give modality='infrared' or 'visible'"
                )
            maps = self.encoders[name](x)
            return tuple(fusion(m, m).contiguous() for fusion, m in zip(self.fusions, maps))
        infrared, visible = _split(x)
        if self.shared:
            maps = self.encoders["both"](torch.cat([infrared, visible]))
            pairs = [m.chunk(2) for m in maps]
        else:
            pairs = zip(self.encoders["infrared"](infrared), self.encoders["visible"](visible))
        no_infrared, no_visible = _absent(infrared), _absent(visible)
        return tuple(
            fusion(torch.where(no_infrared, v, t), torch.where(no_visible, t, v)).contiguous()
            for fusion, (t, v) in zip(self.fusions, pairs)
        )

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Layer of a parameter for layer-wise learning-rate decay, as the encoder tells it.

        The fusion is new at fine-tuning: it is the last layer, as what is outside the backbone.
        """
        encoder = next(iter(self.encoders.values()))
        if not hasattr(encoder, "get_layer_depth"):
            raise TypeError(
                f"layer-wise learning-rate decay: {type(encoder).__name__} in RGBTBackbone has no"
                " get_layer_depth(name, prefix). Use an encoder that has (mmspec.ConvViT, or a"
                " backbone of mmpretrain), or leave out constructor and layer_decay_rate"
            )
        own = param_name.removeprefix(prefix)
        if param_name.startswith(prefix) and own.startswith("encoders."):
            return encoder.get_layer_depth(prefix + own.split(".", 2)[2], prefix)
        _, num_layers = encoder.get_layer_depth("", "backbone.")
        return num_layers - 1, num_layers

    @torch.no_grad()
    def _probe_maps(self) -> Sequence[Tensor]:
        """The encoder's maps of a small image: no attribute tells their channels for every one."""
        encoder = next(iter(self.encoders.values()))
        encoder.eval()  # batch norms keep their statistics, and nothing is drawn
        maps = encoder(torch.zeros(1, 3, _PROBE_SIZE, _PROBE_SIZE))
        encoder.train()
        if not isinstance(maps, Sequence) or any(m.dim() != 4 for m in maps):
            raise ValueError(
                f"RGBTBackbone: {type(encoder).__name__} returns no tuple of maps (B, C, H, W);"
                " a ViT of mmpretrain does with out_type='featmap'"
            )
        return maps


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape[1] == 6:
        return x[:, :3], x[:, 3:]
    if x.shape[1] == 4:
        return x[:, :1].expand(-1, 3, -1, -1), x[:, 1:]
    raise ValueError(
        f"RGBTBackbone got images {tuple(x.shape)}: 6 channels (three infrared, red, green, blue),"
        " 4 (one infrared) or 3 (one modality)"
    )


def _absent(images: Tensor) -> Tensor:
    """(B, 1, 1, 1) bool, on the images' device."""
    # Compared first: ONNX casts to whole numbers, where a fraction is 0.
    return ~(images != 0).flatten(1).any(dim=1).view(-1, 1, 1, 1)
