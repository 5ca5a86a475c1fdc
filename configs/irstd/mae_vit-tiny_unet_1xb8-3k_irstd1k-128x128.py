# A tiny plain ViT pre-trained by MAE, its maps brought to 1/4 ... 1/32 by mmseg's Feature2Pyramid.
_base_ = "./infmae_convvit-tiny_unet_1xb8-3k_irstd1k-128x128.py"

# ============ Often changed ============
checkpoint = "work_dirs/mae_vit-tiny-p16_1xb32-coslr-20e_inf-mini/epoch_20.pth"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmspec.MaskedViT",
        arch="deit-tiny",
        img_size=224,  # of the positions, interpolated to the image
        out_indices=(3, 5, 7, 11),
        final_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    neck=dict(
        type="Feature2Pyramid", embed_dim=192, rescales=[4, 2, 1, 0.5], norm_cfg=_base_.norm_cfg
    ),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
)
