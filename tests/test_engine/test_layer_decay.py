"""Layer-wise learning-rate decay on models of mmseg, mmdet and mmpretrain."""

import logging

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from mmseg.registry import MODELS as MMSEG_MODELS

import mmspec.models  # noqa: F401

ARCH = dict(embed_dims=(8, 16, 32), depths=(1, 1, 3), num_heads=2, mlp_ratios=(2, 2, 2))
ENCODER = dict(type="mmspec.ConvViT", arch=ARCH)
RATE = 0.5
# ConvViT with 3 transformer blocks has 5 layers: stem, three blocks, what is behind.
SCALES = {
    "backbone.embeds.0.proj.weight": 0.0625,
    "backbone.stages.0.0.dwconv.weight": 0.0625,
    "backbone.stages.1.0.norm1.bias": 0.0625,
    "backbone.embeds.2.norm.weight": 0.0625,
    "backbone.token_proj.weight": 0.0625,
    "backbone.stages.2.0.attn.qkv.weight": 0.125,
    "backbone.stages.2.1.norm1.weight": 0.25,
    "backbone.stages.2.2.mlp.fc2.bias": 0.5,
    "backbone.downsample.weight": 1.0,
}


def segmentor(backbone: dict = ENCODER) -> torch.nn.Module:
    head = dict(type="FCNHead", in_channels=32, channels=8, num_convs=1, num_classes=3, in_index=3)
    return MMSEG_MODELS.build(dict(type="EncoderDecoder", backbone=backbone, decode_head=head))


FPN = dict(type="FPN", in_channels=[8, 16, 32, 32], out_channels=8, num_outs=4)


def detector(backbone: dict = ENCODER, neck: dict = FPN) -> torch.nn.Module:
    return MMDET_MODELS.build(
        dict(
            type="RetinaNet",
            backbone=backbone,
            neck=neck,
            bbox_head=dict(
                type="RetinaHead",
                num_classes=2,
                in_channels=8,
                feat_channels=8,
                stacked_convs=1,
                anchor_generator=dict(
                    type="AnchorGenerator", scales=[4], ratios=[1.0], strides=[4, 8, 16, 32]
                ),
            ),
        )
    )


def classifier() -> torch.nn.Module:
    return MMPRETRAIN_MODELS.build(
        dict(
            type="ImageClassifier",
            backbone={**ENCODER, "out_indices": (3,)},
            neck=dict(type="GlobalAveragePooling"),
            head=dict(type="LinearClsHead", num_classes=3, in_channels=32),
        )
    )


def groups_of(model: torch.nn.Module, lr: float = 0.01, **paramwise_cfg) -> list[dict]:
    cfg = dict(
        optimizer=dict(type="AdamW", lr=lr, weight_decay=0.05),
        constructor="mmspec.LayerDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay_rate=RATE, **paramwise_cfg),
    )
    return build_optim_wrapper(model, cfg).optimizer.param_groups


def settings(model: torch.nn.Module, groups: list[dict]) -> dict[str, dict]:
    """Parameter name to its group; every parameter that learns is in one group, once."""
    by_id = {id(p): group for group in groups for p in group["params"]}
    names = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sum(len(group["params"]) for group in groups) == len(names) == len(by_id)
    return {name: by_id[id(p)] for name, p in names.items()}


@pytest.mark.parametrize(
    ("build", "heads"),
    [
        (segmentor, ["decode_head.conv_seg.weight", "decode_head.convs.0.conv.weight"]),
        (detector, ["neck.lateral_convs.0.conv.weight", "bbox_head.retina_cls.weight"]),
        (classifier, ["head.fc.weight"]),
    ],
)
def test_learning_rates_follow_the_layers(build, heads):
    model = build()
    found = settings(model, groups_of(model))
    expected = SCALES | dict.fromkeys(heads, 1.0)
    for name, scale in expected.items():
        assert found[name]["lr"] == pytest.approx(0.01 * scale, rel=1e-12), name
    for name, group in found.items():
        if not name.startswith("backbone."):
            assert group["lr"] == 0.01, name
        assert group["weight_decay"] == 0.05


def test_one_group_a_layer_and_decay():
    groups = groups_of(segmentor(), norm_decay_mult=0.0, bias_decay_mult=0.0)
    assert [(group["layer"], group["weight_decay"]) for group in groups] == [
        (layer, decay) for layer in range(5) for decay in (0.0, 0.05)
    ]


def test_a_backbone_of_mmpretrain():
    vit = dict(
        type="mmpretrain.VisionTransformer",
        arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        out_type="featmap",
    )
    head = dict(type="FCNHead", in_channels=32, channels=8, num_convs=1, num_classes=3, in_index=0)
    model = MMSEG_MODELS.build(dict(type="EncoderDecoder", backbone=vit, decode_head=head))
    found = settings(model, groups_of(model, custom_keys=dict(pos_embed=dict(decay_mult=0.0))))
    assert found["backbone.patch_embed.projection.weight"]["lr"] == 0.01 * 0.125
    assert found["backbone.layers.0.attn.qkv.weight"]["lr"] == 0.01 * 0.25
    assert found["backbone.layers.1.attn.qkv.weight"]["lr"] == 0.01 * 0.5
    assert found["backbone.ln1.weight"]["lr"] == 0.01
    assert found["backbone.pos_embed"]["weight_decay"] == 0.0
    assert found["backbone.pos_embed"]["lr"] == 0.01 * 0.125


def test_a_windowed_vit_of_mmpretrain_in_a_detector():
    """ViTSAM with the simple feature pyramid: MAE's baseline for detection."""
    vit = dict(
        type="mmpretrain.ViTSAM",
        arch=dict(
            embed_dims=32,
            num_layers=2,
            num_heads=2,
            feedforward_channels=32,
            global_attn_indexes=[1],
        ),
        img_size=64,
        window_size=2,
        out_channels=0,
    )
    neck = dict(type="mmspec.SimpleFPN", in_channels=32, out_channels=8, num_outs=4)
    model = detector(vit, neck)
    found = settings(model, groups_of(model, custom_keys=dict(pos_embed=dict(decay_mult=0.0))))
    scales = {
        "backbone.patch_embed.projection.weight": 0.125,
        "backbone.pos_embed": 0.125,
        "backbone.layers.0.attn.rel_pos_h": 0.25,
        "backbone.layers.1.attn.rel_pos_w": 0.5,
        "backbone.layers.1.ffn.layers.1.weight": 0.5,
        "neck.scales.0.0.weight": 1.0,
        "bbox_head.retina_cls.weight": 1.0,
    }
    assert {name: found[name]["lr"] / 0.01 for name in scales} == pytest.approx(scales)
    assert found["backbone.pos_embed"]["weight_decay"] == 0.0


ENCODERS_WITH_POSITIONS = {
    "ViTSAM": dict(
        type="mmpretrain.ViTSAM",
        arch=dict(
            embed_dims=32,
            num_layers=2,
            num_heads=2,
            feedforward_channels=32,
            global_attn_indexes=[1],
        ),
        img_size=64,
        window_size=2,
        use_rel_pos=True,
        out_channels=0,
    ),
    "ViT": dict(
        type="mmpretrain.VisionTransformer",
        arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        out_type="featmap",
    ),
    "Swin": dict(
        type="mmspec.MaskedSwin",
        arch=dict(embed_dims=16, depths=[1, 1], num_heads=[1, 2]),
        img_size=64,
        out_indices=(1,),
        use_abs_pos_embed=True,
        pretraining=True,
    ),
    "ConvViT": {**ENCODER, "use_rel_pos": True},
}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("ViTSAM", {"pos_embed", "rel_pos_h", "rel_pos_w"}),
        ("ViT", {"pos_embed", "cls_token"}),
        ("Swin", {"absolute_pos_embed", "relative_position_bias_table", "mask_token"}),
        ("ConvViT", {"rel_pos_h", "rel_pos_w"}),
    ],
)
def test_positions_and_tokens_are_not_decayed(kind, names):
    head = dict(type="FCNHead", in_channels=32, channels=8, num_convs=1, num_classes=3, in_index=-1)
    model = MMSEG_MODELS.build(
        dict(type="EncoderDecoder", backbone=ENCODERS_WITH_POSITIONS[kind], decode_head=head)
    )
    found = settings(model, groups_of(model))
    undecayed = {name for name, group in found.items() if group["weight_decay"] == 0}
    assert {name.rpartition(".")[2] for name in undecayed} == names
    assert all(group["weight_decay"] in (0, 0.05) for group in found.values())
    # Who wants a decay says so.
    name = sorted(names)[0]
    found = settings(model, groups_of(model, custom_keys={name: dict(decay_mult=2.0)}))
    own = [group for full, group in found.items() if full.endswith(name)]
    assert own and all(group["weight_decay"] == 0.1 for group in own)


def test_no_decay_on_norms_and_biases():
    model = segmentor()
    for name, group in settings(
        model, groups_of(model, norm_decay_mult=0.0, bias_decay_mult=0.0)
    ).items():
        parameter = model.get_parameter(name)
        assert group["weight_decay"] == (0.0 if parameter.dim() == 1 else 0.05), name


def test_custom_keys_multiply_the_decay():
    model = segmentor()
    groups = groups_of(model, norm_decay_mult=0.0, custom_keys={"stages.2.1": dict(decay_mult=2.0)})
    found = settings(model, groups)
    assert found["backbone.stages.2.1.attn.proj.weight"]["weight_decay"] == 0.1
    # As in mmengine, a custom key overrides norm_decay_mult.
    assert found["backbone.stages.2.1.norm1.weight"]["weight_decay"] == 0.1
    assert found["backbone.stages.2.0.norm1.weight"]["weight_decay"] == 0.0


def test_frozen_parameters_stay_out():
    model = segmentor({**ENCODER, "frozen_stages": 2})
    found = settings(model, groups_of(model))
    assert not any(name.startswith(("backbone.embeds.0", "backbone.stages.1")) for name in found)
    assert "backbone.token_proj.weight" in found


def test_a_shared_parameter_is_counted_once():
    model = segmentor()
    model.decode_head.twin = model.decode_head.conv_seg
    settings(model, groups_of(model))


def test_log_is_a_table(caplog):
    logger = MMLogger.get_instance("layer_decay", logger_name="layer_decay")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        groups_of(segmentor({**ENCODER, "frozen_stages": 1}), custom_keys={"nowhere": {}})
    message = "\n".join(record.getMessage() for record in caplog.records)
    assert "paramwise_options" not in message
    assert "skipped" not in message
    lines = message.splitlines()
    assert len(lines) == 2 + 5 + 2
    assert lines[2].split()[:3] == ["0", "0.0625", "0.000625"]
    assert lines[-1].endswith("nowhere")
    assert lines[-2].startswith("frozen: ")


@pytest.mark.parametrize(
    ("paramwise_cfg", "message"),
    [
        (dict(layer_decay=0.75), "unknown key 'layer_decay' in paramwise_cfg"),
        (dict(layer_decay_rate=1.5), "layer_decay_rate=1.5"),
        (dict(norm_decay_mult=0.0), "layer_decay_rate=None"),
        (None, "layer_decay_rate=None"),
        (
            dict(layer_decay_rate=0.5, custom_keys=dict(head=dict(lr_mult=10))),
            r"'lr_mult' in custom_keys\['head'\]",
        ),
    ],
)
def test_wrong_settings_are_named(paramwise_cfg, message):
    cfg = dict(
        optimizer=dict(type="AdamW", lr=1e-4, weight_decay=0.05),
        constructor="mmspec.LayerDecayOptimWrapperConstructor",
        paramwise_cfg=paramwise_cfg,
    )
    with pytest.raises(ValueError, match=message):
        build_optim_wrapper(segmentor(), cfg)


@pytest.mark.parametrize("missing", ["lr", "weight_decay"])
def test_an_optimizer_without_rate_or_decay_is_named(missing):
    optimizer = dict(type="SGD", lr=1e-4, weight_decay=0.05)
    del optimizer[missing]
    cfg = dict(
        optimizer=optimizer,
        constructor="mmspec.LayerDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay_rate=0.5),
    )
    with pytest.raises(ValueError, match="needs a learning rate and a weight decay"):
        build_optim_wrapper(segmentor(), cfg)


def test_a_backbone_without_layers_is_named():
    resnet = dict(type="ResNetV1c", depth=18, base_channels=8)
    with pytest.raises(TypeError, match="the backbone ResNetV1c has no get_layer_depth"):
        groups_of(segmentor(resnet))
    with pytest.raises(TypeError, match="Linear has no backbone"):
        groups_of(torch.nn.Linear(2, 2))
