"""The lines that upstream configs take, a kind each, and what takes none."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "analysis_tools"))
from drop_in import config_folder, installed_configs, plainest
from drop_in_lines import KINDS, NotMaps, as_config, lines_for

ALL, LAST_THREE = [48, 96, 224, 224], [96, 224, 224]


def encoder(*out_indices: int, **more) -> dict:
    which = dict(out_indices=out_indices) if out_indices else {}
    return dict(_delete_=True, type="mmspec.ConvViT", arch="tiny", **which, **more)


def lines(framework: str, name: str):
    pytest.importorskip(framework)
    config = Config.fromfile(config_folder(framework) / name, import_custom_modules=False)
    return lines_for(framework, config.model.to_dict())


# Of each kind a config, and the changes of its model.
EXPECTED = {
    ("mmdet", "neck of four maps"): (
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        dict(backbone=encoder(), neck=dict(in_channels=ALL)),
    ),
    ("mmdet", "neck of three maps"): (
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        dict(backbone=encoder(1, 2, 3), neck=dict(in_channels=LAST_THREE)),
    ),
    ("mmdet", "neck of one map"): (
        "detr/detr_r50_8xb2-150e_coco.py",
        dict(backbone=encoder(3), neck=dict(in_channels=[224])),
    ),
    ("mmdet", "neck of the last map"): (
        "yolof/yolof_r50-c5_8xb8-1x_coco.py",
        dict(backbone=encoder(3), neck=dict(in_channels=224)),
    ),
    ("mmdet", "SSD"): (
        "pascal_voc/ssd300_voc0712.py",
        dict(
            backbone=encoder(1, 2),
            neck=dict(in_channels=(96, 224), out_channels=(96, 224, 512, 256, 256, 256)),
            bbox_head=dict(in_channels=(96, 224, 512, 256, 256, 256)),
        ),
    ),
    ("mmdet", "C4, DC5"): (
        "faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py",
        dict(
            backbone=encoder(2),
            neck=dict(type="ChannelMapper", in_channels=[224], kernel_size=1, out_channels=1024),
        ),
    ),
    ("mmdet", "re-identification"): (
        "reid/reid_r50_8xb32-6e_mot17train80_test-mot17val20.py",
        dict(
            backbone=encoder(2, final_norm=True),
            neck=dict(kernel_size=[16, 8]),
            head=dict(in_channels=224),
        ),
    ),
    ("mmdet", "panoptic head"): (
        "mask2former/mask2former_r50_8xb2-lsj-50e_coco.py",
        dict(backbone=encoder(), panoptic_head=dict(in_channels=ALL)),
    ),
    ("mmseg", "neck"): (
        "fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024.py",
        dict(
            pretrained=None,
            backbone=encoder(1, 2, 3),
            neck=dict(in_channels=tuple(LAST_THREE)),
            auxiliary_head=dict(in_channels=224),
        ),
    ),
    ("mmseg", "heads of resized maps"): (
        "mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-320k_cityscapes-512x1024.py",
        dict(
            pretrained=None,
            backbone=encoder(0, 1, 2),
            neck=dict(
                type="MultiLevelNeck",
                in_channels=[48, 96, 224],
                out_channels=128,
                scales=[1, 1, 2],
            ),
            decode_head=dict(in_channels=(128, 128, 128)),
        ),
    ),
    ("mmseg", "heads of one fine map (d8, d16, ViT)"): (
        "deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py",
        dict(
            pretrained=None,
            backbone=encoder(0, 1, 2),
            decode_head=dict(in_channels=224, in_index=2, c1_in_channels=48),
            auxiliary_head=dict(in_channels=224, in_index=2),
        ),
    ),
    ("mmseg", "heads"): (
        "upernet/upernet_r50_4xb4-80k_ade20k-512x512.py",
        dict(
            pretrained=None,
            backbone=encoder(),
            decode_head=dict(in_channels=ALL, in_index=[0, 1, 2, 3]),
            auxiliary_head=dict(in_channels=224, in_index=2),
        ),
    ),
    ("mmpretrain", "classifier"): (
        "resnet/resnet50_8xb32_in1k.py",
        dict(backbone=encoder(2, final_norm=True), head=dict(in_channels=224)),
    ),
}


def test_each_kind_has_an_example():
    assert set(EXPECTED) == {(kind.framework, kind.name) for kind in KINDS}


@pytest.mark.parametrize(("framework", "kind"), EXPECTED)
def test_lines_of_each_kind(framework, kind):
    name, changes = EXPECTED[framework, kind]
    found = lines(framework, name)
    assert found.kind == kind
    assert found.changes == changes


def test_of_a_list_of_necks_the_first_is_given_the_widths():
    neck = lines("mmdet", "libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py").changes["neck"]
    assert [one["type"] for one in neck] == ["FPN", "BFP"]
    assert neck[0]["in_channels"] == ALL
    assert neck[0]["out_channels"] == 256


def test_of_a_list_of_heads_each_is_given_its_width():
    heads = lines("mmseg", "ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024.py")
    heads = heads.changes["decode_head"]
    assert [(head["in_index"], head["in_channels"]) for head in heads] == [(2, 224), (2, 224)]


def test_a_vit_gives_its_neck_and_its_head_away():
    changes = lines("mmpretrain", "vision_transformer/vit-base-p16_64xb64_in1k.py").changes
    assert changes["neck"] == dict(_delete_=True, type="GlobalAveragePooling")
    assert changes["head"]["type"] == "LinearClsHead"
    assert changes["head"]["num_classes"] == 1000
    changes = lines("mmseg", "vit/vit_deit-b16_mln_upernet_8xb2-160k_ade20k-512x512.py").changes
    assert changes["neck"] is None


def test_a_classifier_without_a_neck_is_given_one():
    changes = lines("mmpretrain", "tinyvit/tinyvit-11m_8xb256_in1k.py").changes
    assert changes["neck"] == dict(type="GlobalAveragePooling")
    assert changes["head"]["in_channels"] == 224


def test_a_head_without_convolutions_is_as_wide_as_what_it_reads():
    changes = lines("mmseg", "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py").changes
    assert changes["decode_head"] == dict(in_channels=224, in_index=2, channels=224)


def test_maps_of_one_size_for_setr_mla():
    changes = lines("mmseg", "setr/setr_vit-l-mla_8xb1-160k_ade20k-512x512.py").changes
    assert changes["neck"] == dict(
        _delete_=True,
        type="MultiLevelNeck",
        in_channels=ALL,
        out_channels=256,
        scales=[0.25, 0.5, 1, 2],
    )
    assert "decode_head" not in changes


def test_swin_is_no_plain_vit():
    name = "swin/swin-base-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py"
    assert lines("mmseg", name).kind == "heads"


def test_a_detector_within_a_model():
    found = lines(
        "mmdet", "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py"
    )
    assert found.changes == dict(detector=EXPECTED["mmdet", "neck of four maps"][1])


@pytest.mark.parametrize(
    ("framework", "name", "reason"),
    [
        ("mmdet", "detectors/detectors_htc-r50_1x_coco.py", "runs a backbone of its own"),
        ("mmdet", "tridentnet/tridentnet_r50-caffe_1x_coco.py", "TridentNet"),
        ("mmdet", "cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py", "hourglass"),
        ("mmdet", "misc/d2_retinanet_r50-caffe_fpn_ms-90k_coco.py", "Detectron2Wrapper"),
        ("mmseg", "dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py", "its own backbone"),
        ("mmpretrain", "clip/clip_vit-base-p16_zeroshot-cls_in1k.py", "no backbone"),
        (
            "mmpretrain",
            "mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py",
            "MAE is no classifier",
        ),
        ("mmpretrain", "dinov2/vit-base-p14_dinov2-pre_headless.py", "no head"),
        ("mmpretrain", "lenet/lenet5_mnist.py", "classifies by itself"),
    ],
)
def test_what_takes_no_maps_is_told(framework, name, reason):
    with pytest.raises(NotMaps, match=reason):
        lines(framework, name)


def test_the_lines_are_a_config(tmp_path):
    pytest.importorskip("mmdet")
    name = "libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py"
    text = as_config(str(config_folder("mmdet") / name), lines("mmdet", name).changes)
    path = tmp_path / "user.py"
    path.write_text(text)
    config = Config.fromfile(path)
    assert config.model.backbone == dict(type="mmspec.ConvViT", arch="tiny")
    assert config.model.neck[0].in_channels == ALL
    assert config.model.rpn_head.type == "RPNHead"


def test_installed_configs_are_no_parts_of_others():
    pytest.importorskip("mmdet")
    names = installed_configs("mmdet")
    assert "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py" in names
    assert not [name for name in names if "_base_" in name]


def test_the_plainest_of_each_folder():
    names = [
        "a/a_r101_1x.py",
        "a/a_r50_2x.py",
        "a/a_r50_fpn_2x.py",
        "b/x/b-large.py",
        "b/b-base.py",
    ]
    assert plainest(names) == ["a/a_r50_2x.py", "b/b-base.py"]
