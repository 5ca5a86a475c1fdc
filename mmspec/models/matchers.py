"""Matching of infrared to visible images by a head on a frozen encoder."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.model import BaseModel
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmspec.matching.dense import estimate_homography, match_features
from mmspec.registry import MODELS


@MODELS.register_module()
class PairMatcher(BaseModel):
    """A frozen encoder, shared by both modalities, and a trained head that describes every place.

    Args:
        backbone: the encoder, which gives maps (B, C, h, w) of images (B, 3, H, W). It stays in
            evaluation and without gradients.
        head: :class:`MatchingHead`.
        data_preprocessor: :class:`RGBTDataPreprocessor` of the encoder's mean and std.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor or dict(type="mmspec.RGBTDataPreprocessor"), init_cfg=init_cfg
        )
        self.backbone = MODELS.build(backbone) if isinstance(backbone, dict) else backbone
        self.head = MODELS.build(head) if isinstance(head, dict) else head
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> PairMatcher:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[DataSample] | tuple[Tensor, Tensor]:
        """Losses (``mode='loss'``), matches ('predict') or descriptors ('tensor')."""
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        if mode == "tensor":
            return self.extract_feat(inputs)
        raise ValueError(f"mode={mode!r}: 'loss', 'predict' or 'tensor'")

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptors (B, C, h, w) of either image of normalised pairs (B, 6, H, W)."""
        with torch.no_grad():
            maps = self.backbone(torch.cat(inputs.chunk(2, dim=1)))
        return self.head(inputs, maps)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of the head, for samples with a ``truth``, see ``ViewInfrared``."""
        truth = torch.stack([sample.truth for sample in data_samples])
        return self.head.loss(*self.extract_feat(inputs), truth, inputs.shape[-2:])

    @torch.no_grad()
    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Mutual nearest neighbours of each pair and the homography that they agree on.

        Each data sample gets ``infrared_points`` and ``visible_points``, (N, 2) x, y in pixels of
        ``inputs``, the best match first; ``scores`` (N,), cosines; ``homography``, (3, 3) from
        infrared to visible, or None where none was found. All are NumPy arrays, as
        ``MatchingMetric`` takes them.
        """
        infrared, visible = self.extract_feat(inputs)
        shape = tuple(inputs.shape[-2:])
        if data_samples is None:
            data_samples = [DataSample() for _ in inputs]
        for sample, first, second in zip(data_samples, infrared, visible):
            matches = match_features(first.float(), second.float(), shape, shape)
            best = np.argsort(-matches.scores, kind="stable")
            points = matches.infrared[best], matches.visible[best]
            sample.set_field(points[0], "infrared_points")
            sample.set_field(points[1], "visible_points")
            sample.set_field(matches.scores[best], "scores")
            sample.set_field(estimate_homography(*points), "homography")
        return data_samples
