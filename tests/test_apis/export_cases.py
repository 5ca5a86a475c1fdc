"""Small models of every kind that is exported, and images for them."""

import copy
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmspec.models.data_preprocessors.rgbt import PairNormalization
from mmspec.pairs import PAIR

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CONV_VIT = dict(
    type="mmspec.ConvViT",
    arch=dict(embed_dims=(8, 16, 32), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2)),
)
VIT = dict(embed_dims=32, num_layers=12, num_heads=2, feedforward_channels=32)
VIT_SAM = dict(
    embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=32, global_attn_indexes=[1]
)
SWIN = dict(embed_dims=12, depths=[1, 2, 1, 1], num_heads=[1, 2, 3, 4])
PYRAMID = dict(type="FPN", in_channels=[8, 16, 32, 32], out_channels=32, num_outs=5)
_BOXES = {
    "train_cfg": None,
    "neck": dict(PYRAMID, start_level=0),
    "rpn_head.in_channels": 32,
    "rpn_head.feat_channels": 16,
    "roi_head.bbox_roi_extractor.out_channels": 32,
    "roi_head.bbox_head.in_channels": 32,
    "roi_head.bbox_head.fc_out_channels": 32,
    "test_cfg.rpn.nms_pre": 60,
    "test_cfg.rpn.max_per_img": 30,
    "test_cfg.rcnn.max_per_img": 20,
}
_MAPS = {"backbone.arch": CONV_VIT["arch"], "decode_head.channels": 8, "auxiliary_head": None}
#: Of each case the config under ``configs/`` and what is changed in its model.
CASES = {
    "upernet": (
        "seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200",
        {**_MAPS, "decode_head.in_channels": [8, 16, 32, 32]},
    ),
    "fcn": (
        "seg/scratch_convvit-base_fcn_1xb2-240k_msrs-480x640",
        {**_MAPS, "decode_head.in_channels": [8, 16, 32, 32], "backbone.window_size": 2},
    ),
    "small targets": (
        "irstd/scratch_convvit-tiny_unet_1xb8-1k_sirstv2-128x128",
        {
            "backbone.arch": CONV_VIT["arch"],
            "decode_head.channels": 8,
            "decode_head.in_channels": [8, 16, 32],
        },
    ),
    "small targets, Swin": (
        "irstd/um-mae_swin-tiny_unet_1xb2-240k_irstd1k-512x512",
        {
            "backbone.arch": SWIN,
            "decode_head.channels": 8,
            "decode_head.in_channels": [12, 24, 48, 96],
        },
    ),
    "upernet of a ViT": (
        "seg/mae_vit-base_upernet_1xb2-240k_msrs-480x640",
        {
            "backbone.arch": VIT,
            "neck.embed_dim": 32,
            "decode_head.in_channels": [32] * 4,
            "decode_head.channels": 8,
            "auxiliary_head": None,
        },
    ),
    "upernet of pairs": (
        "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256",
        {
            "backbone.backbone.arch": VIT,
            "neck.embed_dim": 64,
            "decode_head.in_channels": [64] * 4,
            "decode_head.channels": 8,
            "auxiliary_head": None,
        },
    ),
    "upernet in windows": (
        "seg/mspecgene_vit-base_upernet_1xb2-320k_msrs-768x768",
        {
            "backbone.backbone.arch": VIT,
            "neck.embed_dim": 64,
            "decode_head.in_channels": [64] * 4,
            "decode_head.channels": 8,
            "auxiliary_head": None,
            "test_cfg": dict(mode="slide", crop_size=(96, 96), stride=(64, 64)),
        },
    ),
    "saliency of pairs": (
        "sod/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128",
        {
            "backbone.backbone.arch": VIT,
            "neck.embed_dim": 64,
            "decode_head.in_channels": [64] * 4,
            "decode_head.channels": 8,
            "auxiliary_head": None,
        },
    ),
    "faster r-cnn": (
        "det/scratch_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640",
        {**_BOXES, "backbone.arch": CONV_VIT["arch"]},
    ),
    "mask r-cnn": (
        "det/scratch_convvit-base_mask-rcnn_1xb2-260k_m3fd",
        {
            **_BOXES,
            "backbone.arch": CONV_VIT["arch"],
            "backbone.window_size": 2,
            "roi_head.mask_roi_extractor.out_channels": 32,
            "roi_head.mask_head.in_channels": 32,
            "roi_head.mask_head.conv_out_channels": 16,
        },
    ),
    "mask r-cnn of pairs": (
        "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_msrs-960x960",
        {
            "train_cfg": None,
            "backbone.backbone.arch": VIT_SAM,
            "neck.in_channels": 64,
            "test_cfg.rpn.nms_pre": 60,
            "test_cfg.rpn.max_per_img": 30,
            "test_cfg.rcnn.max_per_img": 20,
            "data_preprocessor.pad_size_divisor": 32,
        },
    ),
    "cascade r-cnn": ("det/scratch_convvit-base_cascade-rcnn_1xb2-260k_m3fd", {}),
    "retinanet": ("mmdet::_base_/models/retinanet_r50_fpn", {}),
    "fcos": ("mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco", {}),
    "atss": ("mmdet::atss/atss_r50_fpn_1x_coco", {}),
    "rtmdet": (
        "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco",
        {
            "backbone": dict(CONV_VIT, out_indices=(1, 2, 3)),
            "neck.in_channels": [16, 32, 32],
            "neck.out_channels": 32,
        },
    ),
    "infmae": ("pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini", {}),
    "mspecgene": ("pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene", {}),
}


def small_model(case: str) -> torch.nn.Module:
    """A model of one case, in evaluation, whose scores lie well apart."""
    name, changes = CASES[case]
    if name.startswith("mmdet::"):
        from mmengine.hub import get_config

        cfg = get_config(f"{name}.py")
        cfg.default_scope = "mmdet"
        pyramid = dict(PYRAMID, start_level=1, add_extra_convs="on_output", num_outs=5)
        changes = {
            **(changes or {"backbone": CONV_VIT, "neck": pyramid}),
            "bbox_head.in_channels": 32,
            "bbox_head.feat_channels": 64,
            "bbox_head.num_classes": 3,
            "test_cfg.nms_pre": 50,
            "test_cfg.max_per_img": 20,
            "test_cfg.score_thr": 0.0,
        }
    else:
        cfg = Config.fromfile(CONFIGS / f"{name}.py")
    model = copy.deepcopy(cfg.model)
    for key, value in changes.items():
        *path, last = key.split(".")
        part = model
        for step in path:
            part = part[step]
        part[last] = value
    _forget_checkpoints(model)
    if "data_preprocessor" not in model:
        model.data_preprocessor = cfg.data_preprocessor
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        network = MODELS.build(model)
    _spread(network)
    return network.eval()


def _forget_checkpoints(node) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("init_cfg"), dict) and "checkpoint" in node["init_cfg"]:
            node["init_cfg"] = None
        for child in node.values():
            _forget_checkpoints(child)
    elif isinstance(node, list | tuple):
        for child in node:
            _forget_checkpoints(child)


#: Layers of mmdet's heads that predict.
_PREDICTING = ("rpn_cls", "rpn_reg", "fc_cls", "fc_reg", "conv_logits", "retina", "conv_cls")
_PREDICTING += ("conv_reg", "conv_centerness", "atss", "rtm")


def _spread(network: torch.nn.Module) -> None:
    """Weights of other sizes than heads start with, which make every score nearly the same."""
    for name, weight in network.named_parameters():
        if weight.dim() > 1 and name.rsplit(".", 2)[-2].startswith(_PREDICTING):
            torch.nn.init.normal_(weight, std=0.05)


def batch(model: torch.nn.Module, shape=(96, 128), seed: int = 0) -> dict:
    """An image of a gradient, squares and noise as a pipeline gives it, or a pair."""
    kinds = {kind.__name__ for kind in type(model).__mro__}
    rng = np.random.default_rng(seed)
    gray = np.linspace(20, 120, shape[1])[None].repeat(shape[0], 0) + rng.normal(0, 6, shape)
    for _ in range(6):
        y, x = rng.integers(0, shape[0] - 20), rng.integers(0, shape[1] - 20)
        gray[y : y + rng.integers(6, 40), x : x + rng.integers(6, 40)] += rng.integers(40, 120)
    image = torch.from_numpy(gray.clip(0, 255).astype(np.uint8))[None].repeat(3, 1, 1)
    meta = dict(img_shape=shape, ori_shape=tuple(2 * n for n in shape), scale_factor=(0.5, 0.5))
    if isinstance(model.data_preprocessor, PairNormalization):
        image = torch.cat([image[:1], 255 - image // torch.tensor([1, 2, 3]).view(3, 1, 1)])
        meta["channels"] = PAIR
    if "BaseDetector" in kinds:
        from mmdet.structures import DetDataSample as Sample
    elif "BaseSegmentor" in kinds:
        from mmseg.structures import SegDataSample as Sample
    else:
        from mmpretrain.structures import DataSample as Sample
    stacked = "BaseSelfSupervisor" in kinds
    return dict(inputs=image[None] if stacked else [image], data_samples=[Sample(metainfo=meta)])
