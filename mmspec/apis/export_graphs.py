"""Models as functions of gray levels: what is exported.

Each graph takes pixels (1, C, H, W) float32 in 0..255, with the channels that the config's test
pipeline gives, and holds normalisation, padding and what comes behind the network. What the
frameworks do there on lists, data samples and Python numbers is written here for tensors alone, so
that a size or a number of boxes of the traced image does not stay in the graph.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.models.data_preprocessors.rgbt import PairNormalization
from mmspec.models.layers.windows import missing

from .tasks import encoder_maps, is_a


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
        names = ("_channel_conversion", "channel_conversion")
        self.swap = any(getattr(preprocessor, name, False) for name in names)
        mean, std = getattr(preprocessor, "mean", None), getattr(preprocessor, "std", None)
        self.normalises = self.pair is None and mean is not None
        if self.normalises:
            self.register_buffer("mean", mean.clone())
            self.register_buffer("std", std.clone())
        #: In gray levels, of the channels that the network sees.
        self.statistics = {
            name: None if values is None else values.flatten().tolist()
            for name, values in (("mean", mean), ("std", std))
        }
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


class Graph(nn.Module):
    """Pixels to a tuple of results.

    Args:
        model: in evaluation; taken over, not copied.
        channels: see :class:`Preprocessing`.
        kind: see :class:`ExportedModel`.
        function: from the model, what its network sees and (H, W) of the pixels to results by name.
    """

    def __init__(
        self, model: nn.Module, channels: Sequence[str] | None, kind: str, function: Callable
    ) -> None:
        super().__init__()
        self.preprocessing = Preprocessing(model.data_preprocessor, channels)
        self.model, self.kind, self.function = model, kind, function
        self.dtype = torch.float32

    def results(self, pixels: Tensor) -> dict[str, Tensor]:
        images = self.preprocessing(pixels).to(self.dtype)
        return self.function(self.model, images, pixels.shape[2:])

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.results(pixels).values())

    def to_half(self) -> None:
        """Have the network compute in float16."""
        self.dtype = torch.float16
        for name, part in self.model.named_children():
            if name != "data_preprocessor":
                part.half()

    def settings(self) -> dict[str, Any]:
        """What :class:`ExportedModel` has to know beside the outputs."""
        if self.kind == "segmentor":
            threshold = getattr(self.model.decode_head, "threshold", None)
            return dict(align_corners=self.model.align_corners, threshold=threshold)
        if self.function is two_stage_detector and self.model.roi_head.with_mask:
            return dict(mask_thr_binary=self.model.roi_head.test_cfg.mask_thr_binary)
        return {}


def encoder(model: nn.Module, images: Tensor, size: torch.Size) -> dict[str, Tensor]:
    """The maps of an encoder, see :func:`encoder_maps`."""
    return {name: tensor.float() for name, tensor in encoder_maps(model, images).items()}


def raw_detector(model: nn.Module, images: Tensor, size: torch.Size) -> dict[str, Tensor]:
    """What the network of a detector gives, before any box is made of it."""
    return {
        f"output{i}_level{j}": tensor.float()
        for i, levels in enumerate(model(images, None, mode="tensor"), 1)
        for j, tensor in enumerate(levels, 1)
    }


def segmentor(model: nn.Module, images: Tensor, size: torch.Size) -> dict[str, Tensor]:
    """Logits (1, classes, H, W) of mmseg's ``EncoderDecoder``."""
    metas = [dict(img_shape=images.shape[2:], ori_shape=images.shape[2:])]
    return dict(logits=model.inference(images, metas).float()[..., : size[0], : size[1]])


def dense_detector(model: nn.Module, images: Tensor, size: torch.Size) -> dict[str, Tensor]:
    """Boxes of one image by a head at every place of its maps: RetinaNet, FCOS, ATSS, ..."""
    head, maps = model.bbox_head, model.extract_feat(images)
    threshold = head.test_cfg.get("score_thr", 0)
    boxes, scores, labels, _ = candidates(head, maps, size, threshold)
    return suppressed(boxes, scores, labels, head.test_cfg)


def two_stage_detector(model: nn.Module, images: Tensor, size: torch.Size) -> dict[str, Tensor]:
    """Boxes, and logits (N, h, w) of masks inside them, by Faster R-CNN or Mask R-CNN."""
    maps, rpn, heads = model.extract_feat(images), model.rpn_head, model.roi_head
    shared = heads.shared_head if heads.with_shared_head else nn.Identity()
    boxes, scores, _, levels = candidates(rpn, maps, size, threshold=-1)
    proposals = suppressed(boxes, scores, levels, rpn.test_cfg)["boxes"]
    head = heads.bbox_head
    regions = shared(regions_of(heads.bbox_roi_extractor, maps, proposals))
    logits, deltas = (x.float() for x in head(regions))
    scores = logits.softmax(-1)[:, :-1]
    classes = 1 if head.reg_class_agnostic else head.num_classes
    deltas = deltas.reshape(-1, head.bbox_coder.encode_size)
    boxes = head.bbox_coder.decode(proposals.repeat_interleave(classes, dim=0), deltas)
    boxes = clipped(boxes, head.bbox_coder, size).view(-1, classes, 4)
    places, labels = (scores > heads.test_cfg.score_thr).nonzero().unbind(1)
    boxes = boxes[places, labels * 0 if classes == 1 else labels]
    found = suppressed(boxes, scores[places, labels], labels, heads.test_cfg)
    if heads.with_mask:
        regions = shared(regions_of(heads.mask_roi_extractor, maps, found["boxes"]))
        masks, labels = heads.mask_head(regions).float(), found["labels"]
        chosen = torch.arange(labels.shape[0], device=labels.device), labels
        found["masks"] = masks[:, 0] if heads.mask_head.class_agnostic else masks[chosen]
    return found


def check_segmentor(model: nn.Module, dynamic: bool) -> None:
    if dynamic and model.test_cfg.get("mode") == "slide":
        raise ExportError(
            f"{type(model).__name__} with test_cfg mode='slide' has other windows for each"
            " size: export with --size, or with --cfg-options model.test_cfg.mode=whole"
        )


def check_dense_detector(model: nn.Module, dynamic: bool) -> None:
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

    head, own = model.bbox_head, ("_predict_by_feat_single", "_bbox_post_process")
    require_own(head, BaseDenseHead, "predict_by_feat", *own)
    check_nms(head, head.test_cfg)
    # mmdet compares min_bbox_size with boxes in pixels of the file, which a graph does not know.
    if head.test_cfg.get("nms_pre", -1) <= 0 or head.test_cfg.get("min_bbox_size", -1) > 0:
        raise ExportError(
            f"{type(head).__name__}: test_cfg needs nms_pre > 0 and min_bbox_size of 0, has"
            f" {dict(head.test_cfg)}"
        )


def check_two_stage_detector(model: nn.Module, dynamic: bool) -> None:
    from mmdet.models.dense_heads import RPNHead
    from mmdet.models.roi_heads import StandardRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    rpn, heads, own = model.rpn_head, model.roi_head, "_predict_by_feat_single"
    require_own(rpn, RPNHead, own, "_bbox_post_process")
    require_own(heads, StandardRoIHead, "predict_bbox", "predict_mask", "_bbox_forward")
    require_own(heads.bbox_head, BBoxHead, "predict_by_feat", own)
    if heads.with_mask:
        require_own(heads.mask_head, FCNMaskHead, "predict_by_feat", own)
    check_nms(rpn, rpn.test_cfg)
    check_nms(heads.bbox_head, heads.test_cfg)
    for name in ("bbox_roi_extractor", "mask_roi_extractor")[: 1 + heads.with_mask]:
        require_own(getattr(heads, name), SingleRoIExtractor, "forward", "map_roi_levels")
        for layer in getattr(heads, name).roi_layers:
            if type(layer).__name__ != "RoIAlign" or layer.pool_mode != "avg":
                raise ExportError(
                    f"not this one: {layer}; RoIAlign with pool_mode='avg' is exported"
                )


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
    if (kind := cfg.nms.get("type", "nms")) != "nms":
        raise ExportError(
            f"not this one: {type(head).__name__} suppresses by {kind}; ONNX has nms alone"
        )


def candidates(
    head: nn.Module, maps: Sequence[Tensor], size: torch.Size, threshold: float
) -> tuple[Tensor, ...]:
    """Boxes inside the image, scores, labels and levels of what a dense head finds.

    Of each level the best ``nms_pre`` above the threshold, as mmdet's heads take them.
    """
    cfg = head.test_cfg
    logits, deltas, *factors = head(maps)
    sizes = [level.shape[-2:] for level in logits]
    all_priors = head.prior_generator.grid_priors(sizes, torch.float32, maps[0].device)
    found = []
    for level, priors in enumerate(all_priors):
        scores = rows_of(logits[level], head.cls_out_channels)
        scores = scores.sigmoid() if head.use_sigmoid_cls else scores.softmax(-1)[:, :-1]
        valid = scores > threshold
        best, order = scores[valid].sort(descending=True)
        if cfg.get("nms_pre", -1) > 0:
            best, order = best[: cfg.nms_pre], order[: cfg.nms_pre]
        places, labels = valid.nonzero()[order].unbind(1)
        for factor in factors:  # centerness
            best = best * rows_of(factor[level], 1)[:, 0].sigmoid()[places]
        boxes = head.bbox_coder.decode(priors[places], rows_of(deltas[level], 4)[places])
        found.append((boxes, best, labels, torch.full_like(labels, level)))
    columns = [torch.cat(parts) for parts in zip(*found)]
    columns[0] = clipped(columns[0], head.bbox_coder, size)
    if (smallest := cfg.get("min_bbox_size", -1)) >= 0:
        keep = (columns[0][:, 2:] - columns[0][:, :2] > smallest).all(1)
        columns = [column[keep] for column in columns]
    return tuple(columns)


def rows_of(level: Tensor, channels: int) -> Tensor:
    """(places, channels) of a level's map (1, priors * channels, h, w)."""
    return level[0].float().permute(1, 2, 0).reshape(-1, channels)


def clipped(boxes: Tensor, coder: Any, size: torch.Size) -> Tensor:
    """Boxes (N, 4) inside the image, where the coder asks for it."""
    if not getattr(coder, "clip_border", True):
        return boxes
    x, y = boxes[:, 0::2].clamp(0, size[1]), boxes[:, 1::2].clamp(0, size[0])
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def suppressed(boxes: Tensor, scores: Tensor, groups: Tensor, cfg: Mapping) -> dict[str, Tensor]:
    """The best of what non-maximum suppression in each group leaves, by falling score."""
    apart, nms, most = boxes, cfg.nms, cfg.max_per_img
    if not nms.get("class_agnostic", False):
        # Of no box the largest coordinate is that of the zero.
        largest = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max()
        apart = boxes + (groups.to(boxes.dtype) * (largest + 1))[:, None]
    keep = torch.ops.torchvision.nms(apart, scores, nms["iou_threshold"])
    keep = keep[:most] if most > 0 else keep
    return dict(boxes=boxes[keep], scores=scores[keep], labels=groups[keep])


def regions_of(extractor: nn.Module, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """What RoIAlign takes of the level of each box's size, (N, C, h, w)."""
    layers = extractor.roi_layers
    rois = torch.cat([boxes.new_zeros(boxes.shape[0], 1), boxes], dim=1)
    levels = extractor.map_roi_levels(rois, len(layers))
    found, order = [], []
    for level, (layer, features) in enumerate(zip(layers, maps)):
        order.append((levels == level).nonzero()[:, 0])
        how = (layer.spatial_scale, *layer.output_size, layer.sampling_ratio, layer.aligned)
        rois_of = rois[order[-1]]
        found.append(torch.ops.torchvision.roi_align(features.float(), rois_of, *how))
    return torch.cat(found)[torch.cat(order).argsort()].to(maps[0].dtype)


def matrix_pool(x: Tensor, bins: Sequence[int | None]) -> Tensor:
    """``nn.AdaptiveAvgPool2d`` as two products of matrices: ONNX has none for any sizes."""
    rows, columns = (_shares(size, n or size, x) for size, n in zip(x.shape[-2:], bins))
    return rows @ x @ columns.T


def _shares(size: int, bins: int, like: Tensor) -> Tensor:
    """(bins, size): the part that each place has in the mean of each bin."""
    index, place = (torch.arange(count, device=like.device) for count in (bins, size))
    first, last = index * size // bins, ((index + 1) * size + bins - 1) // bins
    inside = (place >= first[:, None]) & (place < last[:, None])
    return inside.to(like.dtype) / (last - first)[:, None].to(like.dtype)


def ceil_max_pool(x: Tensor, size: int) -> Tensor:
    """``nn.MaxPool2d(size, size, ceil_mode=True)``, exported for sizes that vary."""
    below, right = (missing(n, size) for n in x.shape[-2:])
    return F.max_pool2d(F.pad(x, (0, right, 0, below), value=float("-inf")), size)


def patch_padding(x: Tensor, kernel: Sequence[int], stride: Sequence[int], same: bool) -> Tensor:
    """mmcv's ``AdaptivePadding`` without Python's ``math.ceil``, which makes a size a constant."""
    down, across = (missing(n, s) + k - s for n, k, s in zip(x.shape[-2:], kernel, stride))
    left, above = (across // 2, down // 2) if same else (0, 0)
    return F.pad(x, (left, across - left, above, down - above))


class Replacement(nn.Module):
    """A function in the place of a part."""

    def __init__(self, function: Callable[..., Tensor], *arguments: Any) -> None:
        super().__init__()
        self.function, self.arguments = function, arguments

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.arguments)


def replace_parts(module: nn.Module) -> None:
    """Replace what has no ONNX operator, or keeps the traced size, by what gives the same."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
            bins = child.output_size
            bins = (bins, bins) if isinstance(bins, int) else tuple(bins)
            setattr(module, name, Replacement(matrix_pool, bins))
        elif isinstance(child, nn.MaxPool2d) and child.ceil_mode:
            if child.kernel_size == child.stride and isinstance(child.stride, int):
                setattr(module, name, Replacement(ceil_max_pool, child.stride))
        elif type(child).__name__ == "AdaptivePadding":
            kernel = [(k - 1) * d + 1 for k, d in zip(child.kernel_size, child.dilation)]
            if all(k >= s for k, s in zip(kernel, child.stride)):
                same = child.padding == "same"
                setattr(module, name, Replacement(patch_padding, kernel, child.stride, same))
        else:
            replace_parts(child)


#: By a class among the model's bases: the kind, the results, and what refuses the model.
_KINDS: dict[str, tuple[str, Callable, Callable | None]] = {
    "BaseSelfSupervisor": ("encoder", encoder, None),
    "EncoderDecoder": ("segmentor", segmentor, check_segmentor),
    "SingleStageDetector": ("detector", dense_detector, check_dense_detector),
    "TwoStageDetector": ("detector", two_stage_detector, check_two_stage_detector),
}


def graph_of(
    model: nn.Module,
    channels: Sequence[str] | None,
    encoder_alone: bool = False,
    raw: bool = False,
    dynamic: bool = False,
) -> Graph:
    """The graph of a model of mmpretrain, mmdet, mmseg or mmspec.

    Args: see :func:`export_model`; parts of the model are replaced.

    Raises:
        ExportError: names the class that cannot be exported.
    """
    replace_parts(model)
    kind, function, check = (
        _KINDS["BaseSelfSupervisor"]
        if encoder_alone
        else next(
            (found for name, found in _KINDS.items() if is_a(model, name)), (None, None, None)
        )
    )
    if raw and function is not dense_detector:
        raise ExportError(f"--raw is for single-stage detectors, not for {type(model).__name__}")
    if function is None:
        raise ExportError(
            f"not this one: {type(model).__name__} is no segmentor, single-stage or two-stage"
            " detector; --encoder exports the maps of its encoder"
        )
    if raw:
        return Graph(model, channels, "raw", raw_detector)
    if check:
        check(model, dynamic)
    return Graph(model, channels, kind, function)
