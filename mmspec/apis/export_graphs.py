"""Models as functions of gray levels: what is exported.

Each graph takes pixels (1, C, H, W) float32 in 0..255, with the channels that the config's test
pipeline gives, and holds normalisation, padding and what comes behind the network. What the
frameworks do there on lists, data samples and Python numbers is written here for tensors alone, so
that a size or a number of boxes of the traced image does not stay in the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.models.data_preprocessors.rgbt import PairNormalization
from mmspec.models.layers.windows import missing

from .exported_model import flat


class ExportError(RuntimeError):
    """What cannot be exported; the message names the class and the way out."""


class Preprocessing(nn.Module):
    """A data preprocessor in testing: order of the channels, normalisation, padding.

    Args:
        preprocessor: of mmengine, mmpretrain, mmdet, mmseg or mmspec.
        channels: names of the channels of pairs, as data samples state them.

    Raises:
        ExportError: it pads to a fixed size.
    """

    def __init__(self, preprocessor: nn.Module, channels: Sequence[str] | None) -> None:
        super().__init__()
        self.pair = preprocessor if isinstance(preprocessor, PairNormalization) else None
        self.channels = channels
        self.swap = any(
            getattr(preprocessor, name, False)
            for name in ("_channel_conversion", "channel_conversion")
        )
        mean = getattr(preprocessor, "mean", None)
        self.normalises = self.pair is None and mean is not None
        if self.normalises:
            self.register_buffer("mean", mean.clone())
            self.register_buffer("std", preprocessor.std.clone())
        testing = getattr(preprocessor, "test_cfg", None) or {}
        if testing.get("size"):
            raise ExportError(
                f"{type(preprocessor).__name__}(test_cfg=dict(size=...)) is not exported: give"
                " size_divisor, or leave test_cfg out"
            )
        #: What height and width are padded to a multiple of.
        self.divisor = testing.get("size_divisor") or getattr(preprocessor, "pad_size_divisor", 1)
        self.pad_value = getattr(preprocessor, "pad_value", getattr(preprocessor, "pad_val", 0))

    def forward(self, pixels: Tensor) -> Tensor:
        if self.pair is not None:
            pixels = self.pair.images_of(pixels, self.channels)
        elif self.swap and pixels.shape[1] == 3:
            pixels = pixels.flip(1)
        if self.normalises:
            pixels = (pixels - self.mean) / self.std
        if self.divisor == 1:
            return pixels
        below, right = (missing(size, self.divisor) for size in pixels.shape[-2:])
        return F.pad(pixels, (0, right, 0, below), value=float(self.pad_value))

    def statistics(self) -> dict[str, list[float] | None]:
        """Mean and std, in gray levels, of the channels that the network sees."""
        holder = self.pair or (self if self.normalises else None)
        return {
            name: getattr(holder, name).flatten().tolist() if holder is not None else None
            for name in ("mean", "std")
        }


class Graph(nn.Module):
    """The frame of all graphs: pixels to named outputs.

    Args:
        model: in evaluation; taken over, not copied.
        channels: see :class:`Preprocessing`.

    Attributes:
        outputs: names of what the graph gives, in order.
    """

    kind: str
    outputs: tuple[str, ...]

    def __init__(self, model: nn.Module, channels: Sequence[str] | None = None) -> None:
        super().__init__()
        self.preprocessing = Preprocessing(model.data_preprocessor, channels)
        self.model = model
        self.dtype = torch.float32

    def check(self, dynamic: bool) -> None:
        """Raise ExportError for what cannot be exported so."""

    def settings(self) -> dict:
        """What :class:`ExportedModel` has to know beside the outputs."""
        return {}

    def name_outputs(self, pixels: Tensor) -> None:
        """Give names to outputs whose number the model decides."""

    def to_half(self) -> None:
        """Have the network compute in float16."""
        self.dtype = torch.float16
        for name, part in self.model.named_children():
            if name != "data_preprocessor":
                part.half()

    def images(self, pixels: Tensor) -> Tensor:
        """What the network sees."""
        return self.preprocessing(pixels).to(self.dtype)


class EncoderGraph(Graph):
    """The maps of an encoder, finest first: ``f1``, ``f2``, ...

    Of a model of pairs that pre-trains those of the infrared images, then of the visible ones.
    """

    kind = "encoder"

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.float() for tensor in flat(self._maps(pixels)))

    def name_outputs(self, pixels: Tensor) -> None:
        maps = self._maps(pixels)
        sides = [""] if isinstance(maps[0], Tensor) else ["infrared_", "visible_"]
        count = len(flat(maps)) // len(sides)
        self.outputs = tuple(f"{side}f{i + 1}" for side in sides for i in range(count))

    def _maps(self, pixels: Tensor):
        images = self.images(pixels)
        pretrains = hasattr(self.model, "masker")
        return self.model.extract_feat(images) if pretrains else self.model.backbone(images)


class RawGraph(Graph):
    """What the network of a detector gives, before any box is made of it."""

    kind = "raw"

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.float() for tensor in flat(self._results(pixels)))

    def name_outputs(self, pixels: Tensor) -> None:
        self.outputs = tuple(
            f"output{i + 1}_level{j + 1}"
            for i, levels in enumerate(self._results(pixels))
            for j in range(len(levels))
        )

    def _results(self, pixels: Tensor):
        return self.model(self.images(pixels), None, mode="tensor")


class SegmentorGraph(Graph):
    """Logits (1, classes, H, W) of mmseg's ``EncoderDecoder``, at the size of the pixels."""

    kind = "segmentor"
    outputs = ("logits",)

    def check(self, dynamic: bool) -> None:
        if dynamic and self.model.test_cfg.get("mode") == "slide":
            raise ExportError(
                f"{type(self.model).__name__} with test_cfg mode='slide' has other windows for each"
                " size: export with --size, or with --cfg-options model.test_cfg.mode=whole"
            )

    def settings(self) -> dict:
        return dict(
            align_corners=self.model.align_corners,
            threshold=getattr(self.model.decode_head, "threshold", None),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        images = self.images(pixels)
        metas = [dict(img_shape=images.shape[2:], ori_shape=images.shape[2:])]
        logits = self.model.inference(images, metas).float()
        return logits[..., : pixels.shape[2], : pixels.shape[3]]


class DenseDetectorGraph(Graph):
    """Boxes of one image by a head at every place of its maps: RetinaNet, FCOS, ATSS, ..."""

    kind = "detector"
    outputs = ("boxes", "scores", "labels")

    def __init__(self, model: nn.Module, channels: Sequence[str] | None = None) -> None:
        from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

        super().__init__(model, channels)
        head, cfg = model.bbox_head, model.bbox_head.test_cfg
        require_own(
            head, BaseDenseHead, "predict_by_feat", "_predict_by_feat_single", "_bbox_post_process"
        )
        check_nms(head, cfg)
        if cfg.get("nms_pre", -1) <= 0 or cfg.get("min_bbox_size", -1) > 0:
            raise ExportError(
                f"{type(head).__name__}: test_cfg needs nms_pre > 0 and min_bbox_size of 0, has"
                f" {dict(cfg)}"
            )

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        head, cfg = self.model.bbox_head, self.model.bbox_head.test_cfg
        logits, deltas, *factors = head(self.model.extract_feat(self.images(pixels)))
        found = []
        for level, priors in enumerate(priors_of(head, logits)):
            scores = level_scores(head, logits[level])
            valid = scores > cfg.get("score_thr", 0)
            best, order = scores[valid].sort(descending=True)
            places, labels = valid.nonzero()[order[: cfg.nms_pre]].unbind(1)
            best = best[: cfg.nms_pre]
            if factors:
                factor = factors[0][level][0].float().permute(1, 2, 0).reshape(-1).sigmoid()
                best = best * factor[places]
            boxes = head.bbox_coder.decode(priors[places], rows_of(deltas[level])[places])
            found.append((boxes, best, labels))
        boxes, scores, labels = (torch.cat(parts) for parts in zip(*found))
        boxes = clipped(boxes, head.bbox_coder, pixels)
        keep = wide(boxes) if cfg.get("min_bbox_size", -1) == 0 else scores > -1
        return suppressed(boxes[keep], scores[keep], labels[keep], cfg.nms, cfg.max_per_img)


class TwoStageDetectorGraph(Graph):
    """Boxes, and masks, of one image by Faster R-CNN or Mask R-CNN."""

    kind = "detector"

    def __init__(self, model: nn.Module, channels: Sequence[str] | None = None) -> None:
        from mmdet.models.dense_heads import RPNHead
        from mmdet.models.roi_heads import StandardRoIHead
        from mmdet.models.roi_heads.bbox_heads import BBoxHead
        from mmdet.models.roi_heads.mask_heads import FCNMaskHead

        super().__init__(model, channels)
        heads = model.roi_head
        require_own(model.rpn_head, RPNHead, "_predict_by_feat_single", "_bbox_post_process")
        require_own(heads, StandardRoIHead, "predict_bbox", "predict_mask", "_bbox_forward")
        require_own(heads.bbox_head, BBoxHead, "predict_by_feat", "_predict_by_feat_single")
        if heads.with_mask:
            require_own(heads.mask_head, FCNMaskHead, "predict_by_feat", "_predict_by_feat_single")
        check_nms(model.rpn_head, model.rpn_head.test_cfg)
        check_nms(heads.bbox_head, heads.test_cfg)
        for name in ("bbox_roi_extractor", "mask_roi_extractor")[: 1 + heads.with_mask]:
            check_extractor(getattr(heads, name))
        self.outputs = ("boxes", "scores", "labels") + ("masks",) * heads.with_mask

    def settings(self) -> dict:
        heads = self.model.roi_head
        return dict(mask_thr_binary=heads.test_cfg.mask_thr_binary) if heads.with_mask else {}

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps = self.model.extract_feat(self.images(pixels))
        heads, cfg = self.model.roi_head, self.model.roi_head.test_cfg
        rois = self._proposals(maps, pixels)
        features = regions(heads.bbox_roi_extractor, maps, rois)
        if heads.with_shared_head:
            features = heads.shared_head(features)
        logits, deltas = (x.float() for x in heads.bbox_head(features))
        head = heads.bbox_head
        scores = logits.softmax(-1)[:, :-1]
        classes = 1 if head.reg_class_agnostic else head.num_classes
        boxes = head.bbox_coder.decode(
            rois.repeat_interleave(classes, dim=0), deltas.reshape(-1, head.bbox_coder.encode_size)
        )
        boxes = clipped(boxes, head.bbox_coder, pixels).view(-1, classes, 4)
        places, labels = (scores > cfg.score_thr).nonzero().unbind(1)
        boxes = boxes[places, labels * 0 if classes == 1 else labels]
        found = suppressed(boxes, scores[places, labels], labels, cfg.nms, cfg.max_per_img)
        return (*found, self._masks(maps, found[0], found[2])) if heads.with_mask else found

    def _proposals(self, maps: Sequence[Tensor], pixels: Tensor) -> Tensor:
        head, cfg = self.model.rpn_head, self.model.rpn_head.test_cfg
        logits, deltas = head(maps)
        found = []
        for level, priors in enumerate(priors_of(head, logits)):
            scores, order = level_scores(head, logits[level])[:, 0].sort(descending=True)
            if cfg.get("nms_pre", -1) > 0:
                scores, order = scores[: cfg.nms_pre], order[: cfg.nms_pre]
            boxes = head.bbox_coder.decode(priors[order], rows_of(deltas[level])[order])
            found.append((boxes, scores, torch.full_like(order, level)))
        boxes, scores, levels = (torch.cat(parts) for parts in zip(*found))
        boxes = clipped(boxes, head.bbox_coder, pixels)
        if (smallest := cfg.get("min_bbox_size", -1)) >= 0:
            keep = wide(boxes, smallest)
            boxes, scores, levels = boxes[keep], scores[keep], levels[keep]
        return suppressed(boxes, scores, levels, cfg.nms, cfg.max_per_img)[0]

    def _masks(self, maps: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, h, w) inside each box, of its class."""
        heads = self.model.roi_head
        features = regions(heads.mask_roi_extractor, maps, boxes)
        if heads.with_shared_head:
            features = heads.shared_head(features)
        logits = heads.mask_head(features).float()
        if heads.mask_head.class_agnostic:
            return logits[:, 0]
        return logits[torch.arange(labels.shape[0], device=labels.device), labels]


def require_own(part: nn.Module, base: type, *methods: str) -> None:
    """Raise ExportError where a part does in its own way what a graph repeats of its base."""
    for method in methods:
        if getattr(type(part), method, None) is not getattr(base, method):
            raise ExportError(
                f"not this one: {type(part).__name__} has a {method} of its own, and only that of"
                f" mmdet's {base.__name__} is exported. --raw exports what the network of a"
                " single-stage detector gives, --encoder the maps of any encoder"
            )
    if getattr(part, "custom_cls_channels", False):
        raise ExportError(f"not this one: {type(part).__name__} with custom_cls_channels")


def check_nms(head: nn.Module, cfg: dict) -> None:
    """Raise ExportError for another suppression than ONNX has."""
    kind = cfg.nms.get("type", "nms")
    if kind != "nms":
        raise ExportError(
            f"not this one: {type(head).__name__} suppresses by {kind}; ONNX has nms alone"
        )


def check_extractor(extractor: nn.Module) -> None:
    """Raise ExportError for other regions than RoIAlign's of the level of their size."""
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    require_own(extractor, SingleRoIExtractor, "forward", "map_roi_levels")
    for layer in extractor.roi_layers:
        if type(layer).__name__ != "RoIAlign" or layer.pool_mode != "avg":
            raise ExportError(f"not this one: {layer}; RoIAlign with pool_mode='avg' is exported")


def priors_of(head: nn.Module, logits: Sequence[Tensor]) -> list[Tensor]:
    """Anchors or points of each level, for the sizes of its maps."""
    return head.prior_generator.grid_priors(
        [level.shape[-2:] for level in logits], dtype=torch.float32, device=logits[0].device
    )


def level_scores(head: nn.Module, logits: Tensor) -> Tensor:
    """(places, classes) of a level's map (1, priors * channels, h, w)."""
    logits = logits[0].float().permute(1, 2, 0).reshape(-1, head.cls_out_channels)
    return logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]


def rows_of(deltas: Tensor) -> Tensor:
    """(places, 4) of a level's map (1, priors * 4, h, w)."""
    return deltas[0].float().permute(1, 2, 0).reshape(-1, 4)


def clipped(boxes: Tensor, coder, pixels: Tensor) -> Tensor:
    """Boxes (N, 4) inside the image, where the coder asks for it."""
    if not getattr(coder, "clip_border", True):
        return boxes
    height, width = pixels.shape[2:]
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def wide(boxes: Tensor, smallest: float = 0) -> Tensor:
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    return (width > smallest) & (height > smallest)


def suppressed(
    boxes: Tensor, scores: Tensor, groups: Tensor, cfg: dict, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``most`` best of what non-maximum suppression in each group leaves, by falling score."""
    apart = boxes
    if not cfg.get("class_agnostic", False):
        # Of no box the largest coordinate is that of the zero.
        largest = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max()
        apart = boxes + (groups.to(boxes.dtype) * (largest + 1))[:, None]
    keep = torch.ops.torchvision.nms(apart, scores, cfg["iou_threshold"])
    if most > 0:
        keep = keep[:most]
    return boxes[keep], scores[keep], groups[keep]


def regions(extractor: nn.Module, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """What RoIAlign takes of the level of each box's size, (N, C, h, w)."""
    layers = extractor.roi_layers
    rois = torch.cat([boxes.new_zeros(boxes.shape[0], 1), boxes], dim=1)
    levels = extractor.map_roi_levels(rois, len(layers))
    found, order = [], []
    for level, (layer, features) in enumerate(zip(layers, maps)):
        places = (levels == level).nonzero()[:, 0]
        order.append(places)
        found.append(
            torch.ops.torchvision.roi_align(
                features.float(),
                rois[places],
                layer.spatial_scale,
                *layer.output_size,
                layer.sampling_ratio,
                layer.aligned,
            )
        )
    return torch.cat(found)[torch.cat(order).argsort()].to(maps[0].dtype)


class MatrixPool(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two products of matrices: ONNX has none for any sizes."""

    def __init__(self, output_size: int | Sequence[int]) -> None:
        super().__init__()
        self.bins = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (_shares(n, bins, x) for n, bins in zip(x.shape[-2:], self.bins))
        return rows @ x @ columns.T


def _shares(size: int, bins: int | None, like: Tensor) -> Tensor:
    """(bins, size): the part that each place has in the mean of each bin."""
    index = torch.arange(size if bins is None else bins, device=like.device)
    bins = size if bins is None else bins
    first, last = index * size // bins, ((index + 1) * size + bins - 1) // bins
    place = torch.arange(size, device=like.device)
    inside = (place >= first[:, None]) & (place < last[:, None])
    return inside.to(like.dtype) / (last - first)[:, None].to(like.dtype)


class PatchPadding(nn.Module):
    """mmcv's ``AdaptivePadding`` without Python's ``math.ceil``, which makes a size a constant."""

    def __init__(self, kernel: Sequence[int], stride: Sequence[int], same: bool) -> None:
        super().__init__()
        self.overlaps = tuple(k - s for k, s in zip(kernel, stride))
        self.stride, self.same = tuple(stride), same

    def forward(self, x: Tensor) -> Tensor:
        down, across = (
            missing(size, stride) + overlap
            for size, stride, overlap in zip(x.shape[-2:], self.stride, self.overlaps)
        )
        left, above = (across // 2, down // 2) if self.same else (0, 0)
        return F.pad(x, (left, across - left, above, down - above))


class CeilMaxPool(nn.Module):
    """``nn.MaxPool2d(size, size, ceil_mode=True)``, exported for sizes that vary."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        below, right = (missing(n, self.size) for n in x.shape[-2:])
        return F.max_pool2d(F.pad(x, (0, right, 0, below), value=float("-inf")), self.size)


def replace_parts(module: nn.Module) -> None:
    """Replace what has no ONNX operator, or keeps the traced size, by parts that give the same."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
            setattr(module, name, MatrixPool(child.output_size))
        elif isinstance(child, nn.MaxPool2d) and child.ceil_mode:
            if child.kernel_size == child.stride and isinstance(child.stride, int):
                setattr(module, name, CeilMaxPool(child.stride))
        elif type(child).__name__ == "AdaptivePadding":
            kernel = [(k - 1) * d + 1 for k, d in zip(child.kernel_size, child.dilation)]
            if all(k >= s for k, s in zip(kernel, child.stride)):
                setattr(module, name, PatchPadding(kernel, child.stride, child.padding == "same"))
        else:
            replace_parts(child)


def graph_of(
    model: nn.Module,
    channels: Sequence[str] | None,
    encoder: bool = False,
    raw: bool = False,
) -> Graph:
    """The graph of a model of mmpretrain, mmdet, mmseg or mmspec.

    Args:
        model: in evaluation; parts of it are replaced.
        channels: see :class:`Preprocessing`.
        encoder: the maps of its encoder alone.
        raw: what the network gives, without boxes.

    Raises:
        ExportError: names the class that cannot be exported.
    """
    replace_parts(model)
    kinds = {cls.__name__ for cls in type(model).__mro__}
    if encoder or "BaseSelfSupervisor" in kinds:
        kind: Callable = EncoderGraph
    elif raw and "SingleStageDetector" in kinds:
        kind = RawGraph
    elif "EncoderDecoder" in kinds:
        kind = SegmentorGraph
    elif "SingleStageDetector" in kinds:
        kind = DenseDetectorGraph
    elif "TwoStageDetector" in kinds:
        kind = TwoStageDetectorGraph
    else:
        raise ExportError(
            f"not this one: {type(model).__name__} is no segmentor, single-stage or two-stage"
            " detector; --encoder exports the maps of its encoder"
        )
    if raw and kind is not RawGraph:
        raise ExportError(f"--raw is for single-stage detectors, not for {type(model).__name__}")
    return kind(model, channels)
