# Table 4 of the paper, first row, and section 5.6: plain MAE ViT-B on the same data.
# Model and decoder are mmpretrain's. For section 5.6's other row let data_root be 30 % of
# ImageNet-1K.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

norm_pix = True  # as the MAE authors train; InfMAE compares raw pixels

model = dict(
    _delete_=True,
    type="MAE",
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(type="MAEViT", arch="b", patch_size=16, mask_ratio=0.75),
    neck=dict(
        type="MAEPretrainDecoder",
        patch_size=16,
        in_chans=3,
        embed_dim=768,
        decoder_embed_dim=512,
        decoder_depth=8,
        decoder_num_heads=16,
        mlp_ratio=4.0,
    ),
    head=dict(
        type="MAEPretrainHead",
        norm_pix=norm_pix,
        patch_size=16,
        loss=dict(type="PixelReconstructionLoss", criterion="L2"),
    ),
)

train_pipeline = [
    step for step in _base_.train_pipeline if step["type"] != "mmspec.InformationAwareMask"
]
train_pipeline[-1] = dict(type="PackInputs")
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
custom_hooks = [
    hook for hook in _base_.custom_hooks if hook["type"] != "mmspec.ReconstructionVisualizationHook"
]
# mmpretrain's MAE does not predict.
test_dataloader = None
test_evaluator = None
test_cfg = None
