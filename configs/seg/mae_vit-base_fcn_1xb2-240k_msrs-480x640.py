# Table 1 of the paper: plain ViT-B pre-trained by MAE, with FCN on its last map at 1/16.
_base_ = "./mae_vit-base_upernet_1xb2-240k_msrs-480x640.py"

model = dict(
    neck=None,
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=768,
        in_index=3,
        channels=512,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0.1,
        num_classes=9,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    ),
)
