# Table 1 of the paper: plain ViT-B pre-trained by MAE, with UperNet.
# Maps of blocks 4, 6, 8 and 12 at 1/16 are brought to 1/4 ... 1/32 by mmseg's Feature2Pyramid, as
# in its MAE configs.
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

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
        drop_path_rate=_base_.drop_path_rate,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    neck=dict(
        type="Feature2Pyramid", embed_dim=768, rescales=[4, 2, 1, 0.5], norm_cfg=_base_.norm_cfg
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
)
