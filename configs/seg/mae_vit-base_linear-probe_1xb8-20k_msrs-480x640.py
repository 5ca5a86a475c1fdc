# A linear probe of a frozen MAE ViT-B on MSRS: its maps after blocks 4, 6, 8 and 12 side by side.
_base_ = "./infmae_convvit-base_linear-probe_1xb8-20k_msrs-480x640.py"

# ============ Often changed ============
# The published facebookresearch/mae weights are read too.
checkpoint = "work_dirs/mae_vit-base-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmspec.MaskedViT",
        arch="base",
        img_size=224,  # of the positions, interpolated to the image
        out_indices=(3, 5, 7, 11),
        final_norm=False,
        frozen_stages=12,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
)
