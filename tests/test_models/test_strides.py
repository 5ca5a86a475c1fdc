"""Heads that take maps to have other strides than they have are told so, whoever calls them."""

import copy
import pickle

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

import mmspec  # noqa: F401
from mmspec.models.backbones import ConvViT, MaskedSwin, MaskedViT, RGBTBackbone

TINY = dict(type="mmspec.ConvViT", arch="tiny")
VIT = dict(
    arch=dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=32), img_size=64
)
SWIN = dict(arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]))


@pytest.fixture(autouse=True)
def scope():
    current = DefaultScope.get_current_instance()
    init_default_scope("mmdet")
    yield
    if current is not None:
        init_default_scope(current.scope_name)


def detector(base: str, backbone: dict, **neck):
    mmdet_models = pytest.importorskip("mmdet.registry").MODELS
    config = Config.fromstring(f"_base_ = 'mmdet::{base}'", ".py")
    config.model.backbone = Config(backbone)._cfg_dict
    if neck:
        config.model.neck.update(neck)
    config.model.pop("pretrained", None)
    return mmdet_models.build(config.model)


def encoders() -> dict[str, torch.nn.Module]:
    return {
        "ConvViT": ConvViT("tiny"),
        "ConvViT, two maps": ConvViT("tiny", out_indices=(1, 3)),
        "MaskedViT": MaskedViT(**VIT, out_indices=(0, 1)),
        "MaskedSwin": MaskedSwin(**SWIN, out_indices=(1, 2)),
        "RGBTBackbone": RGBTBackbone({**TINY, "out_indices": (1, 2)}),
        "RGBTBackbone of a ViT": RGBTBackbone(dict(type="mmspec.MaskedViT", **VIT), "max"),
        "RGBTBackbone of a ResNet": RGBTBackbone(
            dict(type="mmpretrain.ResNet", depth=18, base_channels=8, out_indices=(1, 2))
        ),
    }


@pytest.mark.parametrize("name", encoders())
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_maps_are_contiguous_and_have_the_strides_and_channels_told(name, size):
    encoder = encoders()[name]
    encoder.eval()  # mmpretrain's returns None
    channels = 6 if name.startswith("RGBT") else 3
    with torch.no_grad():
        maps = encoder(torch.randn(2, channels, *size))
    assert all(m.is_contiguous() for m in maps)
    assert [m.shape[1] for m in maps] == list(encoder.out_channels)
    assert [(size[0] // s, size[1] // s) for s in encoder.out_strides] == [
        tuple(m.shape[2:]) for m in maps
    ]


def test_strides_told():
    told = {name: encoder.out_strides for name, encoder in encoders().items()}
    assert told == {
        "ConvViT": (4, 8, 16, 32),
        "ConvViT, two maps": (8, 32),
        "MaskedViT": (16, 16),
        "MaskedSwin": (8, 16),
        "RGBTBackbone": (8, 16),
        "RGBTBackbone of a ViT": (16,),
        "RGBTBackbone of a ResNet": (8, 16),
    }


def test_contiguous_maps_of_images_that_are_cropped_back():
    encoder = ConvViT("tiny").eval()
    with torch.no_grad():
        assert all(m.is_contiguous() for m in encoder(torch.randn(1, 3, 37, 50)))


FOUR = [48, 96, 224, 224]
RTMDET = "rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
DETR = "detr/detr_r50_8xb2-150e_coco.py"
FASTER = "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"


@pytest.mark.parametrize(
    ("base", "backbone", "neck", "message"),
    [
        (
            RTMDET,
            TINY,
            dict(in_channels=FOUR),
            r"RTMDetSepBNHead takes .* strides 8, 16, 32 and is given strides 4, 8, 16, 32\. .*"
            r"out_indices=\(1, 2, 3\) for it and in_channels=\[96, 224, 224\]",
        ),
        (
            "yolox/yolox_tiny_8xb8-300e_coco.py",
            TINY,
            dict(in_channels=FOUR),
            r"YOLOXHead .*out_indices=\(1, 2, 3\) .*\[96, 224, 224\]",
        ),
        (
            FASTER,
            {**TINY, "out_indices": (1, 2, 3)},
            dict(in_channels=FOUR[1:]),
            r"RPNHead .* strides 4, 8, 16, 32, 64 and is given strides 8, 16, 32, 64, .*"
            r"out_indices=\(0, 1, 2, 3\) .*\[\.\.\., 96, 224, 224\]",
        ),
        (  # whose neck leaves out the first map
            "retinanet/retinanet_r50_fpn_1x_coco.py",
            {**TINY, "out_indices": (1, 2, 3)},
            dict(in_channels=FOUR[1:]),
            r"RetinaHead .*out_indices=\(0, 1, 2, 3\)",
        ),
        (
            FASTER,
            dict(type="mmspec.MaskedViT", **VIT, out_indices=(0, 1, 2, 3)),
            dict(in_channels=[32] * 4),
            r"RPNHead .*mmspec\.SimpleFPN",
        ),
        (
            FASTER,
            dict(type="mmspec.RGBTBackbone", backbone={**TINY, "out_indices": (1, 2, 3)}),
            dict(in_channels=[2 * c for c in FOUR[1:]]),
            r"RGBTBackbone gives strides 8, 16, 32: write out_indices=\(0, 1, 2, 3\)",
        ),
        (
            DETR,
            TINY,
            dict(in_channels=FOUR),
            r"DETR reads one map and is given 4: .*out_indices=\(3,\) .*\[224\]",
        ),
        (
            "conditional_detr/conditional-detr_r50_8xb2-50e_coco.py",
            {**TINY, "out_indices": (2, 3)},
            dict(in_channels=FOUR[2:]),
            r"ConditionalDETR reads one map and is given 2: .*out_indices=\(3,\)",
        ),
    ],
)
def test_other_strides_are_refused_with_what_to_write(base, backbone, neck, message):
    model = detector(base, backbone, **neck).eval()
    channels = 6 if "RGBT" in backbone["type"] else 3
    from mmdet.structures import DetDataSample

    sample = DetDataSample(
        metainfo=dict(
            img_shape=(64, 64),
            ori_shape=(64, 64),
            pad_shape=(64, 64),
            batch_input_shape=(64, 64),
            scale_factor=(1.0, 1.0),
        )
    )
    for _ in range(2):  # the second try is no better
        with pytest.raises(ValueError, match=message), torch.no_grad():
            model.predict(torch.randn(1, channels, 64, 64), [sample])


@pytest.mark.parametrize(
    ("base", "backbone", "neck", "size"),
    [
        (FASTER, TINY, dict(in_channels=FOUR), (64, 64)),
        (FASTER, TINY, dict(in_channels=FOUR), (33, 200)),
        ("retinanet/retinanet_r50_fpn_1x_coco.py", TINY, dict(in_channels=FOUR), (70, 101)),
        (RTMDET, {**TINY, "out_indices": (1, 2, 3)}, dict(in_channels=FOUR[1:]), (64, 96)),
        (DETR, {**TINY, "out_indices": (3,)}, dict(in_channels=FOUR[3:]), (70, 101)),
    ],
)
def test_the_right_strides_pass_once_and_leave_no_hook(base, backbone, neck, size):
    model = detector(base, backbone, **neck).eval()
    head = model.rpn_head if base == FASTER else model.bbox_head
    with torch.no_grad():
        maps = model.extract_feat(torch.randn(1, 3, *size))
        if base != DETR:
            head(maps)
    left = {type(m).__name__ for m in model.modules() if m._forward_pre_hooks or m._forward_hooks}
    assert left == ({"ConvViT", "SingleRoIExtractor"} if base == FASTER else {"ConvViT"})


def test_copies_and_pickles():
    model = detector(FASTER, TINY, in_channels=FOUR).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model.extract_feat(image)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            for a, b in zip(other.extract_feat(image), expected):
                assert torch.equal(a, b)


def test_a_backbone_can_be_taken_away():
    model = torch.nn.Module()
    model.backbone = ConvViT("tiny")
    model.backbone = None
    model.register_module("backbone", None)
