# mmpretrain's MAE with a ViT-B, normalised as InfMAE. It does not predict: nothing is drawn.
model = dict(
    type="MAE",
    data_preprocessor=dict(
        type="mmspec.InfraredDataPreprocessor",
        non_blocking=True,
        # One gray channel in, three equal ones out: mean 0.425 and std 0.200 of [0, 1].
        mean=[108.375, 108.375, 108.375],
        std=[51.0, 51.0, 51.0],
        to_rgb=False,
    ),
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
        norm_pix=True,  # as the MAE authors train; InfMAE compares raw pixels
        patch_size=16,
        loss=dict(type="PixelReconstructionLoss", criterion="L2"),
    ),
)
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
