"""Features as targets: of an average of the encoder itself, or of a frozen encoder."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.conventions import PAIR_CHANNELS
from mmspec.masking import grid_of
from mmspec.registry import MODELS

from ..layers.patches import on_grid
from .base import Target

LOSSES = ("smooth-l1", "cosine")


class FeatureTarget(Target):
    """A map of a teacher that sees the whole image, on the patch grid, each patch normalised.

    Resized where the map has another grid, and normalised over its channels by LayerNorm without
    weights. ``neck=dict(out_dims=...)`` is the number of these channels.

    Args:
        loss: 'smooth-l1', the mean over channels, or 'cosine', one minus the cosine.
        index: which of the teacher's maps; by default the last one that has the patch grid, or the
            last if none has (ConvViT's F4, behind F3, is new at fine-tuning).
    """

    def __init__(self, loss: str = "smooth-l1", index: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if loss not in LOSSES:
            raise ValueError(f"loss={loss!r}: {', '.join(LOSSES)}")
        self.loss = loss
        self.index = index

    def on_patches(self, teacher: nn.Module, images: Tensor) -> Tensor:
        """A teacher's map of images (B, c, H, W): (B, N, channels)."""
        grid = grid_of(*images.shape[-2:], self.patch_size)
        maps = teacher(images)
        maps = list(maps) if isinstance(maps, tuple | list) else [maps]
        if self.index is None:
            found = next((f for f in reversed(maps) if tuple(f.shape[2:]) == grid), maps[-1])
        else:
            found = maps[self.index]
        if found.dim() != 4:
            raise ValueError(
                f"the teacher {type(teacher).__name__} gives {tuple(found.shape)} where a map"
                " (B, C, rows, columns) is needed; mmpretrain's ViT has out_type='featmap'"
            )
        found = found.float()
        if tuple(found.shape[-2:]) != grid:
            found = F.interpolate(found, grid, mode="bilinear", antialias=True)
        return F.layer_norm(on_grid(found), found.shape[1:2])

    def errors(self, prediction: Tensor, target: Tensor) -> Tensor:
        """By patch, (B, N, channels) twice to (B, N)."""
        if self.loss == "cosine":
            return 1 - F.cosine_similarity(prediction, target, dim=-1)
        return F.smooth_l1_loss(prediction, target, reduction="none").mean(-1)


@MODELS.register_module()
class MovingAverageTarget(FeatureTarget):
    """Features of a moving average of the encoder (data2vec, arXiv 2202.03555).

    The teacher starts as the encoder that the first step of training begins with; when each further
    one begins it takes ``1 - decay`` of the encoder. It is part of a checkpoint, as no file has it,
    and a resumed run goes on with it. With gradient accumulation each batch counts as a step.

    One map stands for the paper's mean of the last layers, and ``decay`` does not rise.

    Args:
        decay: of what the teacher was, per step; 0.999 looks back a thousand steps.
    """

    def __init__(self, decay: float = 0.999, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay} is outside [0, 1)")
        self.decay = decay
        self.register_buffer("steps", torch.tensor(0))

    def attach(self, backbone: nn.Module, data_preprocessor: nn.Module) -> None:
        super().attach(backbone, data_preprocessor)
        self.teacher = copy.deepcopy(backbone).requires_grad_(False)
        for module in self.teacher.modules():
            if hasattr(module, "is_init"):  # the first step copies the encoder
                module.is_init = True
        self.teacher.eval()

    def train(self, mode: bool = True) -> MovingAverageTarget:
        super().train(mode)
        if hasattr(self, "teacher"):
            self.teacher.eval()
        return self

    @torch.no_grad()
    def follow(self, backbone: nn.Module) -> None:
        if not self.training:
            return
        # On the device: a condition would wait for it.
        share = torch.where(self.steps == 0, 1.0, 1 - self.decay)
        for averaged, now in zip(self._values(self.teacher), self._values(backbone), strict=True):
            averaged.lerp_(now.to(averaged.dtype), share.to(averaged.dtype))
        self.steps += 1

    @staticmethod
    def _values(module: nn.Module) -> list[Tensor]:
        """Parameters, and statistics of norms."""
        return [v for v in module.state_dict().values() if v.is_floating_point()]

    @torch.no_grad()
    def forward(self, images: Tensor, channels: slice) -> Tensor:
        return self.on_patches(self.teacher, images[:, channels])


@MODELS.register_module()
class TeacherTarget(FeatureTarget):
    """Features of a frozen encoder that the user names.

    The teacher is no part of the model's state: a checkpoint does not have it and a resumed run
    reads it again, so that its file must stay where it is.

    Args:
        teacher: config of any backbone whose ``init_cfg`` names its weights, mmpretrain's too, or a
            checkpoint as :func:`mmspec.load_encoder` reads it.
        mean, std: how the teacher wants its images, in gray levels 0..255 (red, green, blue);
            images of one channel are spread over three. By default as the student's.
        modality: 'infrared' or 'visible': what the teacher sees of pairs, whatever is being
            reconstructed; a teacher of visible images then tells what the infrared student sees.
            By default what is being reconstructed.
    """

    def __init__(
        self,
        teacher: dict | str,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        modality: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (std is None):
            raise ValueError("mean and std of the teacher: both or neither")
        if modality is not None and modality not in PAIR_CHANNELS:
            raise ValueError(f"modality={modality!r}: {', '.join(PAIR_CHANNELS)}")
        self.modality = modality
        for name, values in (("teacher_mean", mean), ("teacher_std", std)):
            values = None if values is None else torch.tensor(values).float().view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)
        # In a list: torch would take it for a part whose state is the model's.
        self._teacher = [_built(teacher)]
        self._teacher[0].requires_grad_(False)
        self._teacher[0].eval()

    def _apply(self, fn, *args, **kwargs) -> TeacherTarget:
        self._teacher[0]._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)

    @torch.no_grad()
    def forward(self, images: Tensor, channels: slice) -> Tensor:
        if self.modality is not None:
            channels = PAIR_CHANNELS[self.modality]
            if images.shape[1] < channels.stop:
                raise ValueError(
                    f"modality={self.modality!r}: pairs have 6 channels, got {images.shape[1]}; the"
                    " data preprocessor mmspec.RGBTDataPreprocessor makes them"
                )
        seen = images[:, channels]
        if self.teacher_mean is not None:
            seen = (self.gray_levels(images, channels) - self.teacher_mean) / self.teacher_std
        return self.on_patches(self._teacher[0], seen)


def _built(teacher: dict | str) -> nn.Module:
    if isinstance(teacher, str):
        return MODELS.build(dict(type="mmspec.LoadedEncoder", checkpoint=teacher))
    if not (teacher.get("init_cfg") or teacher.get("pretrained")):
        raise ValueError(
            f"teacher {teacher['type']} has no weights: give it"
            " init_cfg=dict(type='mmspec.PretrainedEncoder', checkpoint=FILE), or name a checkpoint"
            " in its place"
        )
    module = MODELS.build(teacher)
    module.init_weights()
    return module
