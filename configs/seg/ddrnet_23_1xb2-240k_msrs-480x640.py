# Table 1 of the paper: DDRNet-23 that was trained on ImageNet; mmseg's model and optimiser, without
# its class weights, which are Cityscapes'.
_base_ = "./upernet_r50_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = (
    "https://download.openmmlab.com/mmsegmentation/v0.5/ddrnet/pretrain/"
    "ddrnet23-in1kpre_3rdparty-9ca29f62.pth"
)

# ============ Rarely changed ============
# The hardest 2 % of a batch at least, as mmseg's 131072 of six 1024x1024 crops.
ohem = dict(type="OhemCrossEntropy", thres=0.9, min_kept=12800)

model = dict(
    backbone=dict(
        _delete_=True,
        type="DDRNet",
        in_channels=3,
        channels=64,
        ppm_channels=128,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        init_cfg=dict(type="Pretrained", checkpoint=checkpoint),
    ),
    decode_head=dict(
        _delete_=True,
        type="DDRHead",
        in_channels=256,
        channels=128,
        dropout_ratio=0.0,
        num_classes=9,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=[dict(**ohem, loss_weight=1.0), dict(**ohem, loss_weight=0.4)],
    ),
    auxiliary_head=None,
)
