# InfMAE of the base size, and the hooks of its training (arXiv 2402.00407, sections 4 and 5.1).
model = dict(
    type="mmspec.InfMAE",
    data_preprocessor=dict(
        type="mmspec.InfraredDataPreprocessor",
        non_blocking=True,
        # One gray channel in, three equal ones out: mean 0.425 and std 0.200 of [0, 1].
        mean=[108.375, 108.375, 108.375],
        std=[51.0, 51.0, 51.0],
        to_rgb=False,
    ),
    # Every fourth rank of the gray levels, from the brightest patch, is visible.
    masker=dict(type="mmspec.InformationMasker", score="intensity", stride=4),
    backbone=dict(type="mmspec.ConvViT", arch="base", pretraining=True, out_indices=(0, 1, 2)),
    neck=dict(type="mmspec.InfMAEDecoder", in_dims=768, dims=512, depth=2, num_heads=16),
    head=dict(type="mmspec.ReconstructionHead", patch_size=16, norm_pix=False),
)
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
    dict(type="mmspec.ReconstructionVisualizationHook", interval=20),
]
