# A head for matching infrared to visible images on a frozen encoder.
model = dict(
    type="mmspec.PairMatcher",
    # As in pre-training: the mean and std of ImageNet for both modalities.
    data_preprocessor=dict(
        type="mmspec.RGBTDataPreprocessor",
        non_blocking=True,
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type="mmspec.MaskedViT",
        arch="base",
        img_size=224,  # of the positions, interpolated to the image
        out_indices=(3, 7, 11),
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=None),
    ),
    head=dict(
        type="mmspec.MatchingHead",
        in_channels=[768] * 3,
        channels=64,
        num_points=512,
        loss=dict(type="mmspec.DualSoftmaxLoss", temperature=0.1, radius=4.0),
    ),
)
