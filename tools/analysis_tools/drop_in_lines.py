"""What to write into an upstream config so that ConvViT is its backbone: one rule a kind.

:func:`lines_for` gives the changes of a model's config, :func:`as_config` the lines of a user's
config. ``tools/analysis_tools/drop_in.py``, the tests and ``docs/drop_in.md`` share them.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from mmspec.models.backbones.conv_vit import ARCHS

ARCH = "tiny"
WIDTHS = (*ARCHS[ARCH]["embed_dims"], ARCHS[ARCH]["embed_dims"][-1])
"""Channels of F1, F2, F3, F4 at 1/4, 1/8, 1/16, 1/32."""


class Lines(NamedTuple):
    """How one upstream config takes the encoder."""

    kind: str
    changes: dict[str, Any]
    """Of ``model``; merged as mmengine merges a config into its base."""


class NotMaps(ValueError):
    """The config's neck or head asks for something else than maps of an image; says for what."""


class Kind(NamedTuple):
    """A row of the table in the docs."""

    name: str
    framework: str
    rule: Callable[[dict], dict[str, Any] | None]
    """Gives the changes of a model of this kind, None for any other."""
    what: str
    """What has to be written, and why, in a sentence."""


def lines_for(framework: str, model: dict) -> Lines:
    """The lines for a model's config of 'mmdet', 'mmseg' or 'mmpretrain'.

    Raises:
        NotMaps: its neck or head does not take maps of an image.
    """
    model = copy.deepcopy(model)
    if "tracker" in model or "track_head" in model:
        raise NotMaps("follows objects through videos")
    if framework == "mmdet" and "type" in model.get("detector", {}):  # semi-supervised
        inner = lines_for(framework, model["detector"])
        return Lines(inner.kind, dict(detector=inner.changes))
    if "backbone" not in model:
        raise NotMaps(f"{model.get('type')} has no backbone of its own")
    for holds, reason in _NOT_MAPS:
        if holds(model):
            raise NotMaps(reason)
    for kind in KINDS:
        if kind.framework == framework and (changes := kind.rule(model)) is not None:
            return Lines(kind.name, changes)
    raise NotMaps(f"no kind of {framework} has this neck and head")


def as_config(base: str, changes: dict[str, Any]) -> str:
    """The lines of a user's config: ``base`` is what ``_base_`` names, ``changes`` of its model."""
    body = _code(changes, 0)
    return (
        f"_base_ = {base!r}\ncustom_imports = dict(imports=['mmspec'], allow_failed_imports=False)"
        f"\nmodel = {body}\n"
    )


def _code(value: Any, indent: int) -> str:
    """Python code of nested dicts and lists, a line for each key of a dict that is long."""
    if isinstance(value, dict):
        items = [f"{key}={_code(item, indent + 4)}" for key, item in value.items()]
        line = f"dict({', '.join(items)})"
        if len(line) + indent < 90 and "\n" not in line:
            return line
        inner = "".join(f"{' ' * (indent + 4)}{item},\n" for item in items)
        return f"dict(\n{inner}{' ' * indent})"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = "".join(f"{' ' * (indent + 4)}{_code(item, indent + 4)},\n" for item in value)
        return f"[\n{inner}{' ' * indent}]"
    return repr(value)


def _encoder(*out_indices: int, **more: Any) -> dict[str, Any]:
    which = dict(out_indices=out_indices) if out_indices else {}
    return dict(_delete_=True, type="mmspec.ConvViT", arch=ARCH, **which, **more)


def _widths(*indices: int) -> list[int]:
    return [WIDTHS[i] for i in indices]


def _first_neck(model: dict) -> dict | None:
    neck = model.get("neck")
    return neck[0] if isinstance(neck, list) else neck


def _with_first_neck(model: dict, **settings: Any) -> dict | list[dict]:
    """What to write for ``neck``: the settings alone, or of several necks the whole list."""
    if isinstance(model["neck"], list):
        return [{**model["neck"][0], **settings}, *model["neck"][1:]]
    return settings


def _new_neck(model: dict, **settings: Any) -> dict:
    """What to write for a neck in place of the config's, which may name none."""
    return dict(**({"_delete_": True} if "neck" in model else {}), **settings)


# mmdet ------------------------------------------------------------------------------------------


def _several_maps(count: int, indices: tuple[int, ...]) -> Callable[[dict], dict | None]:
    def rule(model: dict) -> dict | None:
        neck = _first_neck(model)
        given = neck.get("in_channels") if neck else None
        if not isinstance(given, (list, tuple)) or len(given) != count:
            return None
        widths = _widths(*indices)
        if neck["type"] == "YOLOV3Neck":  # from coarse to fine
            widths.reverse()
        encoder = _encoder() if count == 4 else _encoder(*indices)
        return dict(backbone=encoder, neck=_with_first_neck(model, in_channels=widths))

    return rule


def _ssd(model: dict) -> dict | None:
    neck = _first_neck(model)
    if neck is None or neck["type"] != "SSDNeck":
        return None
    # SSD reads 1/8 and 1/16, SSDLite 1/16 and 1/32.
    indices = (1, 2) if min(_strides(model)) < 16 else (2, 3)
    first, head = tuple(_widths(*indices)), model["bbox_head"]["in_channels"]
    return dict(
        backbone=_encoder(*indices),
        neck=dict(in_channels=first, out_channels=(*first, *neck["out_channels"][2:])),
        bbox_head=dict(in_channels=(*first, *head[2:])),
    )


def _strides(model: dict) -> list[int]:
    return model["bbox_head"]["anchor_generator"]["strides"]


def _last_map(model: dict) -> dict | None:
    neck = _first_neck(model)
    if neck is None or not isinstance(neck.get("in_channels"), int):
        return None
    return dict(backbone=_encoder(3), neck=_with_first_neck(model, in_channels=WIDTHS[3]))


def _c4(model: dict) -> dict | None:
    if model.get("neck") or "rpn_head" not in model:
        return None
    mapper = dict(type="ChannelMapper", in_channels=_widths(2), kernel_size=1)
    mapper["out_channels"] = model["rpn_head"]["in_channels"]
    return dict(backbone=_encoder(2), neck=mapper)


def _reid(model: dict) -> dict | None:
    if model.get("type") != "BaseReID":
        return None
    pool = [2 * side for side in model["neck"]["kernel_size"]]  # of 1/32, in positions
    return dict(
        backbone=_encoder(2, final_norm=True),
        neck=dict(kernel_size=pool),
        head=dict(in_channels=WIDTHS[2]),
    )


def _panoptic(model: dict) -> dict | None:
    if "panoptic_head" not in model or model.get("neck"):
        return None
    return dict(backbone=_encoder(), panoptic_head=dict(in_channels=list(WIDTHS)))


# mmseg ------------------------------------------------------------------------------------------


def _segmentation(model: dict) -> dict | None:
    """No weights of another backbone, no map that is not read, and the width in each head."""
    neck = _first_neck(model)
    changes: dict[str, Any] = dict(pretrained=None, backbone=None)
    if neck is not None:
        if neck["type"] not in _VIT_NECKS:
            return None
        changes["neck"] = None
    dilated = _is_dilated(model)
    read: set[int] = set()
    for name in ("decode_head", "auxiliary_head"):
        head = model.get(name)
        heads = [_reads(one, dilated) for one in (head if isinstance(head, list) else [head or {}])]
        read |= {i for one in heads for i in _indices(one)}
        if isinstance(head, list):
            changes[name] = [{**old, **new} for old, new in zip(head, heads)]
        elif head:
            changes[name] = heads[0]
    last = max(read, default=3)
    changes["backbone"] = _encoder() if last == 3 else _encoder(*range(last + 1))
    return changes


def _indices(reads: dict) -> list[int]:
    """Maps that a head reads, by what :func:`_reads` gave for it."""
    if "kernel_generate_head" in reads:
        return _indices(reads["kernel_generate_head"])
    widths = reads.get("in_channels", [])
    index = reads.get("in_index", list(range(len(widths))) if isinstance(widths, list) else [])
    return index if isinstance(index, list) else [index]


_VIT_NECKS = ("MultiLevelNeck", "Feature2Pyramid")
"""They make a pyramid of equal maps, which ConvViT gives by itself."""


def _is_dilated(model: dict) -> bool:
    """Whether the backbone stops at 1/8 or 1/16 (d8, d16, ViT), so that its last map is fine."""
    backbone = model["backbone"]
    plain = "patch_size" in backbone and "depths" not in backbone  # Swin has depths
    return 1 in (backbone.get("strides") or ())[1:] or plain


def _reads(head: dict, dilated: bool) -> dict[str, Any]:
    """``in_index`` and ``in_channels`` of a head, which of a dilated backbone reads 1/16 at last.

    F4 at 1/32 is made by a convolution that is not pre-trained; a head of one fine map has F3.
    """
    if "kernel_generate_head" in head:
        return dict(kernel_generate_head=_reads(head["kernel_generate_head"], dilated))
    if "in_channels" not in head:
        return {}
    index, given = head.get("in_index", -1), head["in_channels"]
    if isinstance(given, (list, tuple)):
        index = list(index) if isinstance(index, (list, tuple)) else list(range(len(given)))
        if dilated and 3 in index and 0 not in index:
            index = [i - 1 for i in index]
        reads = dict(in_channels=_widths(*index))
        if "in_index" in head:
            reads["in_index"] = index
        return reads
    index = index[0] if isinstance(index, (list, tuple)) else index
    index = min(index % 4 if index < 0 else index, 2 if dilated else 3)
    reads = dict(in_channels=WIDTHS[index], in_index=index)
    if head.get("num_convs") == 0:  # FCNHead classifies what it reads
        reads["channels"] = WIDTHS[index]
    if head.get("c1_in_channels"):  # DeepLabV3+: the map at 1/4 beside it
        reads["c1_in_channels"] = WIDTHS[0]
    return reads


def _segmentation_neck(model: dict) -> dict | None:
    neck = _first_neck(model)
    if neck is None or neck["type"] in _VIT_NECKS:
        return None
    given = neck.get("in_channels")
    if not isinstance(given, (list, tuple)) or len(given) not in (3, 4):
        return None
    indices = (0, 1, 2, 3)[-len(given) :]
    changes = dict(
        pretrained=None,
        backbone=_encoder() if len(given) == 4 else _encoder(*indices),
        neck=dict(in_channels=type(given)(_widths(*indices))),  # JPU asks for a tuple
    )
    auxiliary = model.get("auxiliary_head")
    if neck["type"] == "JPU" and isinstance(auxiliary, dict):
        # It passes on all of its maps but the last.
        changes["auxiliary_head"] = dict(in_channels=WIDTHS[indices[auxiliary["in_index"]]])
    return changes


def _resized(model: dict) -> dict | None:
    """LRASPP pools 49 x 49 positions of its last map, SETR-MLA joins maps of one size."""
    head, neck = model["decode_head"], _first_neck(model)
    changes = dict(pretrained=None)
    if neck is not None and neck["type"] == "MLANeck":  # all to 1/16
        widths, width, scales = list(WIDTHS), neck["out_channels"], [0.25, 0.5, 1, 2]
        changes["backbone"] = _encoder()
    elif isinstance(head, dict) and head["type"] == "LRASPPHead":  # to 1/4, 1/8, 1/8
        widths, width, scales = _widths(0, 1, 2), head["channels"], [1, 1, 2]
        changes["backbone"] = _encoder(0, 1, 2)
        changes["decode_head"] = dict(in_channels=(width,) * 3)
    else:
        return None
    sizes = dict(in_channels=widths, out_channels=width, scales=scales)
    changes["neck"] = _new_neck(model, type="MultiLevelNeck", **sizes)
    return changes


def _heads_of_one_map(model: dict) -> dict | None:
    if not _is_dilated(model) or _first_neck(model) is not None:
        return None
    return _segmentation(model)


# mmpretrain -------------------------------------------------------------------------------------


def _classifier(model: dict) -> dict:
    if model["type"] != "ImageClassifier":
        raise NotMaps(f"{model['type']} is no classifier")
    if not model.get("head"):
        raise NotMaps("has no head")
    if "num_classes" not in model["head"]:
        raise NotMaps("its backbone classifies by itself")
    head, neck = model["head"], model.get("neck")
    backbone, width = _encoder(2, final_norm=True), WIDTHS[2]
    linear = head["type"] in ("LinearClsHead", "StackedLinearClsHead")
    if linear and neck and neck == dict(type="GlobalAveragePooling"):
        return dict(backbone=backbone, head=dict(in_channels=width))
    loss = head.get("loss", dict(type="CrossEntropyLoss"))
    return dict(
        backbone=backbone,
        neck=_new_neck(model, type="GlobalAveragePooling"),
        head=dict(
            _delete_=True,
            type="LinearClsHead",
            num_classes=head["num_classes"],
            in_channels=width,
            loss=loss,
        ),
    )


KINDS = (
    Kind(
        "neck of four maps",
        "mmdet",
        _several_maps(4, (0, 1, 2, 3)),
        "FPN and its relatives: the four widths; of a list of necks, in the first.",
    ),
    Kind(
        "SSD",
        "mmdet",
        _ssd,
        "Two maps and the layers that SSD adds to them: widths in the neck and in the head.",
    ),
    Kind(
        "neck of three maps",
        "mmdet",
        _several_maps(3, (1, 2, 3)),
        "YOLOX, RTMDet, DINO: `out_indices=(1, 2, 3)`, the maps at 1/8, 1/16 and 1/32.",
    ),
    Kind(
        "neck of one map",
        "mmdet",
        _several_maps(1, (3,)),
        "DETR: `out_indices=(3,)`; the projections of further maps would be idle.",
    ),
    Kind("neck of the last map", "mmdet", _last_map, "YOLOF, CenterNet: one width."),
    Kind(
        "C4, DC5",
        "mmdet",
        _c4,
        "No neck, the head goes on from 1/16: a 1x1 convolution brings F3 to its width.",
    ),
    Kind(
        "re-identification",
        "mmdet",
        _reid,
        "F3 after its norm, averaged: twice the positions, for it is at 1/16.",
    ),
    Kind("panoptic head", "mmdet", _panoptic, "MaskFormer, Mask2Former: the four widths."),
    Kind(
        "heads of resized maps",
        "mmseg",
        _resized,
        "A MultiLevelNeck brings F3 to 1/8 for LRASPP, all maps to 1/16 for SETR-MLA.",
    ),
    Kind(
        "neck",
        "mmseg",
        _segmentation_neck,
        "Semantic FPN, JPU: the widths, and `out_indices=(1, 2, 3)` where it takes three maps.",
    ),
    Kind(
        "heads of one fine map (d8, d16, ViT)",
        "mmseg",
        _heads_of_one_map,
        "`out_indices=(0, 1, 2)` and `in_index=2`: F3 at 1/16. F4 at 1/32 is not pre-trained.",
    ),
    Kind(
        "heads",
        "mmseg",
        _segmentation,
        "The width of each map that a head reads; of a list of heads, in each.",
    ),
    Kind(
        "classifier",
        "mmpretrain",
        _classifier,
        "F3 after its norm, averaged; a ViT's head gives way to a linear one.",
    ),
)


def _type(model: dict, part: str) -> str:
    value = model.get(part)
    value = value[0] if isinstance(value, list) else value
    return (value or {}).get("type", "")


_NOT_MAPS: tuple[tuple[Callable[[dict], bool], str], ...] = (
    (lambda m: "language_model" in m or "text_encoder" in m, "reads text beside the image"),
    (lambda m: _type(m, "neck") == "RFP", "its neck runs a backbone of its own (DetectoRS)"),
    (lambda m: "Trident" in m["backbone"]["type"], "its head asks for a TridentNet backbone"),
    (
        lambda m: m["backbone"]["type"] == "HourglassNet",
        "its head reads each stack of an hourglass network",
    ),
    (
        lambda m: _type(m, "decode_head") in ("DPTHead", "PIDHead", "DDRHead", "VPDDepthHead"),
        "its head asks for what its own backbone alone returns",
    ),
)
