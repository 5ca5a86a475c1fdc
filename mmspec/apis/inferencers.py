"""mmdet's and mmseg's inferencers for configs of mmspec: a script changes its import alone.

The frameworks' own look for a step named ``LoadImageFromFile``, which ours are not, and put their
loader in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope
from torch import nn

from mmspec.datasets.modality import settle_trained_scale
from mmspec.datasets.transforms import LoadInfraredImageFromFile, LoadRGBTImageFromFile
from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import INFERENCERS

from .predictor import LABEL_STEPS, innermost

_ARRAY = "array"


class _OwnLoader:
    """Mixin of an inferencer: the loader of the config's test pipeline reads what is given.

    An image is a path or pixels, (H, W) or (H, W, 1 to 4), blue first, of any depth: as the file
    would be, it is made gray and scaled. A pair is ``dict(infrared_path=..., visible_path=...)``;
    it is drawn over the visible image.
    """

    load: _Given | None = None
    trained_scale: Mapping | None = None

    def _load_weights_to_model(self, model: nn.Module, checkpoint: dict | None, cfg: Any) -> None:
        super()._load_weights_to_model(model, checkpoint, cfg)
        meta = ((checkpoint or {}).get("meta") or {}).get("dataset_meta") or {}
        self.trained_scale = meta.get("infrared_scale")

    def _init_pipeline(self, cfg: Mapping) -> Any:
        dataset = innermost(cfg.test_dataloader.dataset)
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope", self.scope)):
            steps = [TRANSFORMS.build(step) for step in dataset.get("pipeline") or ()]
        if not steps or not isinstance(
            first := steps[0], LoadInfraredImageFromFile | LoadRGBTImageFromFile
        ):
            return super()._init_pipeline(cfg)
        scales = dataset.get("infrared_scale"), self.trained_scale
        settle_trained_scale([first], *scales, "the checkpoint")
        pairs = isinstance(first, LoadRGBTImageFromFile)
        self.load = _Given(first, dataset.get("modality", "both" if pairs else "infrared"))
        return Compose([self.load, *(s for s in steps[1:] if not isinstance(s, LABEL_STEPS))])

    def _inputs_to_list(self, inputs: Any) -> list:
        return [
            {"img_path": one["visible_path"], **one}
            if isinstance(one, dict) and "visible_path" in one
            else one
            for one in super()._inputs_to_list(inputs)
        ]

    def visualize(self, inputs: list, *args, **kwargs) -> Any:
        return super().visualize([self._drawable(one) for one in inputs], *args, **kwargs)

    def _drawable(self, given: Any) -> Any:
        """What the frameworks draw on: a path, or 8 bits and three channels."""
        if isinstance(given, dict):
            return given["img_path"]
        if self.load and isinstance(given, np.ndarray):
            return np.rint(self.load(given)["img"]).astype(np.uint8)
        return given


class _Given:
    """First step of a pipeline: from what a user gives to what the loader gives."""

    def __init__(self, loader: LoadInfraredImageFromFile, modality: str) -> None:
        self.loader, self.modality = loader, modality

    def __call__(self, given: str | np.ndarray | dict) -> dict:
        if isinstance(given, np.ndarray):
            given = dict(img_path=_ARRAY, frames={_ARRAY: given})
        elif not isinstance(given, dict):
            given = dict(img_path=str(given))
        if isinstance(self.loader, LoadRGBTImageFromFile):
            if self.modality == "both" and not {"infrared_path", "visible_path"} <= {*given}:
                raise ValueError(
                    "the model takes aligned pairs: give dict(infrared_path=..., visible_path=...),"
                    " or use mmspec.Predictor"
                )
            path = {f"{self.modality}_path": given.get("img_path")}
            given = {**path, **given, "modality": self.modality}
        return self.loader(given)


try:
    from mmdet.apis import DetInferencer as OfMmdet
except IMPORT_ERRORS as error:
    globals().update(stand_ins(INFERENCERS, ["DetInferencer"], "mmdet", error))
else:

    @INFERENCERS.register_module()
    class DetInferencer(_OwnLoader, OfMmdet):
        """:class:`mmdet.apis.DetInferencer` for configs of mmspec, and any other."""


try:
    from mmseg.apis import MMSegInferencer as OfMmseg
except IMPORT_ERRORS as error:
    globals().update(stand_ins(INFERENCERS, ["SegInferencer"], "mmseg", error))
else:

    @INFERENCERS.register_module()
    class SegInferencer(_OwnLoader, OfMmseg):
        """:class:`mmseg.apis.MMSegInferencer` for configs of mmspec, and any other."""
