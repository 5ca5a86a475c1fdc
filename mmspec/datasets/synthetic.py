"""Procedurally made thermal scenes as a data set: no files, the same scenes on every machine."""

from typing import ClassVar

import numpy as np
from mmengine.dataset import BaseDataset

from mmspec.registry import DATASETS

from .annotated import check_options
from .modality import MODALITY_PATHS
from .repeatable import RepeatableSamplesMixin
from .scenes import CLASSES, PALETTE, THING_CLASSES, ThermalScene, render_scene
from .transforms.rgbt import stack_channels

# A set that fits is kept in the memory of each worker once rendered.
KEPT_BYTES = 2**28
# Kinds of labels with classes of their own.
MASK_CLASSES = {"points": ("background", "target"), "saliency": ("background", "salient")}
MASK_PALETTE = ((0, 0, 0), (255, 210, 0))
SALIENT_FAMILIES = ("street_day", "street_night")
LEAST_SALIENT = 0.01
MOST_DRAWS = 32  # of which each would have to fail, one in four does
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

    With ``labels="saliency"`` it is a set for salient object detection: ``gt_seg_map`` is 1 on all
    things (the classes that get boxes), of the classes background and salient, and there are no
    boxes. Scenes are streets by day and by night in turn, each drawn anew until things fill a
    hundredth of it: a published set has no image without a salient object.

    With ``modality="both"`` or ``"visible"`` the aligned visible image is rendered too, and ``img``
    with ``channels`` is as ``LoadRGBTImageFromFile`` gives it: (H, W, 4) or (H, W, 3). Labels and
    scenes stay the same.

    Args:
        length: number of scenes.
        size: (H, W) of a scene, each from 32 to 1024 pixels.
        seed: of the data set; scene i depends on (seed, i) and on the kind of labels alone.
        labels: what ``gt_seg_map`` holds: 'classes', 'points' or 'saliency'.
        modality: 'infrared', 'visible' or 'both'.
        metainfo, **options: as in ``mmengine.dataset.BaseDataset``: ``pipeline``, ``test_mode``,
            ``indices``, ``lazy_init``, ``max_refetch``, ``serialize_data``.

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
        **options,
    ) -> None:
        check_options(self, options)
        if length < 1 or seed < 0:
            raise ValueError(f"length={length}, seed={seed}: length starts at 1 and seed at 0")
        if labels != "classes" and labels not in MASK_CLASSES:
            known = ", ".join(map(repr, ("classes", *MASK_CLASSES)))
            raise ValueError(f"labels={labels!r}: known: {known}")
        if modality not in MODALITY_PATHS:
            known = ", ".join(map(repr, MODALITY_PATHS))
            raise ValueError(f"modality={modality!r}: known: {known}")
        own = self.METAINFO
        if labels in MASK_CLASSES:
            own = dict(classes=MASK_CLASSES[labels], palette=MASK_PALETTE)
        if "classes" in (metainfo or {}) and tuple(metainfo["classes"]) != own["classes"]:
            raise ValueError(
                "metainfo: scenes are labelled with SyntheticInfrared's own classes, a subset or "
                "other order would not change the labels"
            )
        self.length, self.size, self.seed, self.labels = length, tuple(size), seed, labels
        self.modality = modality
        self._kept: dict[int, ThermalScene] = {}
        super().__init__(metainfo=own | (metainfo or {}), **options)

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
        if self.labels == "saliency":
            return info | dict(gt_seg_map=_things(scene), seg_fields=["gt_seg_map"])
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
        visible = self.modality != "infrared"
        family = "sky" if self.labels == "points" else None
        if self.labels == "saliency":
            family = SALIENT_FAMILIES[index % len(SALIENT_FAMILIES)]
        seeds = np.random.SeedSequence((self.seed, index)).generate_state(MOST_DRAWS, np.uint64)
        for seed in seeds:
            scene = render_scene(int(seed), self.size, visible, family)
            if self.labels != "saliency" or _things(scene).mean() >= LEAST_SALIENT:
                break
        # Small sets are rendered once: later epochs need no more time than reading files.
        per_pixel = BYTES_PER_PIXEL + (3 if visible else 0)
        if self.length * self.size[0] * self.size[1] * per_pixel <= KEPT_BYTES:
            self._kept[index] = scene
        return scene


def _things(scene: ThermalScene) -> np.ndarray:
    """(H, W) uint8, 1 on what has a box in other data sets."""
    return (scene.labels < len(THING_CLASSES)).astype(np.uint8)
