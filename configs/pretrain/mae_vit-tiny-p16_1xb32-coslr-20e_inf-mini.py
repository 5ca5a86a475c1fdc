# mmpretrain's MAE with a tiny ViT (5.5 M parameters, as many as the tiny InfMAE has) on the same
# images with the same schedule, as the plain baseline beside it.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

norm_pix = True  # as the MAE authors train; InfMAE compares raw pixels

model = dict(
    _delete_=True,
    type="MAE",
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=dict(type="MAEViT", arch="deit-tiny", patch_size=16, mask_ratio=0.75),
    neck=dict(
        type="MAEPretrainDecoder",
        patch_size=16,
        in_chans=3,
        embed_dim=192,
        decoder_embed_dim=128,
        decoder_depth=2,
        decoder_num_heads=4,
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
