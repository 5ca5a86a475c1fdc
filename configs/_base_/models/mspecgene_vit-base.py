# M-SpecGene with a ViT-B, and the hooks of its training (ICCV 2025, arXiv 2507.16318).
model = dict(
    type="mmspec.MSpecGene",
    # The mean and std of ImageNet for both modalities, as released.
    data_preprocessor=dict(
        type="mmspec.RGBTDataPreprocessor",
        non_blocking=True,
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type="mmspec.MaskedViT", arch="base", img_size=224, patch_size=16),
    neck=dict(type="mmspec.DualModalityDecoder", in_dims=768, dims=512, depth=4, num_heads=16),
    head=dict(type="mmspec.ReconstructionHead", patch_size=16, norm_pix=True),
    masker=dict(type="mmspec.CMSSMasking", mask_ratio=0.9),
)
custom_hooks = [
    dict(type="mmspec.CMSSScheduleHook"),
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
    dict(type="mmspec.ReconstructionVisualizationHook", interval=5, num_images=4),
    dict(type="mmspec.CMSSVisualizationHook", interval=5, num_pairs=4),
]
