# Table 1 of the paper: a small pyramid transformer pre-trained by UM-MAE. Swin-T here, PVT-S there
# (see the pre-training config).
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = "work_dirs/um-mae_swin-tiny-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmspec.MaskedSwin",
        arch="tiny",
        out_indices=(0, 1, 2, 3),
        drop_path_rate=_base_.drop_path_rate,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
