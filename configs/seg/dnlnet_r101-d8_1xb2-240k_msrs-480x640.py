# Table 1 of the paper: DNLNet on a ResNet-101 that was trained on ImageNet; mmseg's model and
# optimiser. mmseg's DNLHead cannot train with torch 2.1 (open-mmlab/mmsegmentation#3073), but with
# torch 2.11 it can.
_base_ = "./upernet_r50_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = "open-mmlab://resnet101_v1c"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        depth=101,
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        init_cfg=dict(checkpoint=checkpoint),
    ),
    decode_head=dict(
        _delete_=True,
        type="DNLHead",
        in_channels=2048,
        in_index=3,
        channels=512,
        dropout_ratio=0.1,
        reduction=2,
        use_scale=True,
        mode="embedded_gaussian",
        num_classes=9,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    ),
)
