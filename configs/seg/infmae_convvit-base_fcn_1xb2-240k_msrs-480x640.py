# InfMAE encoder with FCN on MSRS, infrared alone: table 1 of the paper.
# The paper does not say which map its FCN reads. Here all four, resized to 1/4 and concatenated, as
# mmseg's FCN reads a pyramid (its HRNet configs). The third alone, as in the FCN of a plain ViT:
# in_channels=768, in_index=2 and no input_transform.
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

model = dict(
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=[256, 384, 768, 768],
        in_index=[0, 1, 2, 3],
        input_transform="resize_concat",
        channels=512,
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=9,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    )
)
