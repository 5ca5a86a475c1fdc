"""Procedurally made thermal scenes as a data set: no files, the same scenes on every machine."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from mmengine.dataset import BaseDataset

from mmspec.registry import DATASETS

from .modality import MODALITIES
from .repeatable import RepeatableSamplesMixin
from .thermal_scene import CLASSES, PALETTE, ThermalScene, render_scene
from .transforms.rgbt import stack_channels

# A set that fits is kept in the memory of each worker once rendered.
KEPT_BYTES = 2**28
POINT_METAINFO = dict(classes=("background", "target"), palette=((0, 0, 0), (255, 210, 0)))
BYTES_PER_PIXEL = 5  # image, labels and point mask of one byte, the raw frame of two


@DATASETS.register_module()
class SyntheticInfrared(RepeatableSamplesMixin, BaseDataset):
    """Thermal scenes (see :func:`render_scene`) rendered when they are asked for.

    A sample is a dict of ``img`` (H, W) uint8 gray, ``channels`` ('infrared',), ``img_shape`` and
    ``ori_shape`` (H, W), ``img_path`` (a name, ``synthetic://seed/index``), ``img_id`` (the scene's
    index, whatever the subset), ``sample_idx``, ``gt_seg_map`` (H, W) uint8 with ``seg_fields`` as
    mmseg's transforms want them, ``gt_bboxes`` (N, 4) float32 xyxy, ``gt_bboxes_labels`` (N,) int64
    and ``point_mask`` (H, W) uint8, through ``pipeline``. No loading transform is needed. Both
    kinds of label index ``METAINFO["classes"]``; boxes only use the first ``len(THING_CLASSES)``.

    With ``labels="points"`` it is a set of small targets: ``gt_seg_map`` is the point mask, of the
    classes background and target, and there are no boxes. All scenes are then of the family 'sky',
    with one to four targets of 1 to about 9 pixels each; of the mixture few scenes have any.

    With ``modality="both"`` or ``"visible"`` the aligned visible image is rendered too, and ``img``
    with ``channels`` is as ``LoadRGBTImageFromFile`` gives it: (H, W, 6) or (H, W, 3). Labels and
    scenes stay the same.

    Args:
        length: Number of scenes.
        size: (H, W) of a scene, each from 32 to 1024 pixels.
        seed: Of the data set; scene i depends on (seed, i) and on the kind of labels alone.
        labels: What ``gt_seg_map`` holds: 'classes' or 'points'.
        modality: 'infrared', 'visible' or 'both'.
        metainfo, indices, serialize_data, pipeline, test_mode, lazy_init, max_refetch: As in
            ``mmengine.dataset.BaseDataset``.

    Raises:
        ValueError: ``length`` under 1 or a negative ``seed``; unknown ``labels`` or ``modality``;
            other classes in ``metainfo``; a ``size`` out of range, when a scene is rendered.
    """

    METAINFO: ClassVar[dict] = dict(classes=CLASSES, palette=PALETTE)

    def __init__(
        self,
        length: int,
        size: tuple[int, int] = (256, 256),
        seed: int = 0,
        labels: str = "classes",
        modality: str = "infrared",
        *,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if length < 1 or seed < 0:
            raise ValueError(f"length={length}, seed={seed}: length starts at 1 and seed at 0")
        if labels not in ("classes", "points"):
            raise ValueError(f"labels={labels!r}: give 'classes' or 'points'")
        if modality not in MODALITIES:
            known = ", ".join(map(repr, MODALITIES))
            raise ValueError(f"modality={modality!r}: known: {known}")
        own = POINT_METAINFO if labels == "points" else self.METAINFO
        if "classes" in (metainfo or {}) and tuple(metainfo["classes"]) != own["classes"]:
            raise ValueError(
                "metainfo: scenes are labelled with SyntheticInfrared's own classes, a subset or "
                "other order would not change the labels"
            )
        self.length, self.size, self.seed, self.labels = length, tuple(size), seed, labels
        self.modality = modality
        self._kept: dict[int, ThermalScene] = {}
        super().__init__(
            metainfo=own | (metainfo or {}),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict]:
        return [
            dict(img_path=f"synthetic://{self.seed}/{index}", img_id=index)
            for index in range(self.length)
        ]

    def get_data_info(self, idx: int) -> dict:
        """The sample ``idx`` before the pipeline, rendered now."""
        info = super().get_data_info(idx)
        scene = self._scene(info["img_id"])
        # Copies: a transform may write into its input, and the scene may be asked for again.
        if self.modality == "infrared":
            info["img"], info["channels"] = scene.image.copy(), ("infrared",)
        else:
            gray = scene.image if self.modality == "both" else None
            info["img"], info["channels"] = stack_channels(gray, scene.visible)
        info |= dict(img_shape=scene.image.shape, ori_shape=scene.image.shape)
        if self.labels == "points":
            return info | dict(gt_seg_map=scene.point_mask.copy(), seg_fields=["gt_seg_map"])
        return info | dict(
            gt_seg_map=scene.labels.copy(),
            seg_fields=["gt_seg_map", "point_mask"],
            gt_bboxes=scene.boxes.copy(),
            gt_bboxes_labels=scene.box_labels.copy(),
            point_mask=scene.point_mask.copy(),
        )

    def _scene(self, index: int) -> ThermalScene:
        if index in self._kept:
            return self._kept[index]
        mixed = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)
        family = "sky" if self.labels == "points" else None
        visible = self.modality != "infrared"
        scene = render_scene(int(mixed[0]), self.size, visible, family)
        # Small sets are rendered once: later epochs need no more time than reading files.
        per_pixel = BYTES_PER_PIXEL + (3 if visible else 0)
        if self.length * self.size[0] * self.size[1] * per_pixel <= KEPT_BYTES:
            self._kept[index] = scene
        return scene
