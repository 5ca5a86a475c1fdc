# A light U-Net decoder, to full resolution, on the maps of a base encoder at 1/4, 1/8 and 1/16.
# SyncBN is BatchNorm in a single process, with or without a GPU.
norm_cfg = dict(type="SyncBN", requires_grad=True)
# SoftIoU alone can settle on no target at all where targets are of few pixels, or of one cell of a
# coarse map: the one that it adds then outweighs them. Weighted cross-entropy leads out of there.
# Over the batch every pixel counts alike, as in the IoU that is printed; over each image, a crop
# without target as much as one with a large one (README).
losses = [
    dict(type="mmspec.SoftIoULoss", over="batch"),
    dict(type="CrossEntropyLoss", use_sigmoid=True, class_weight=[10.0], avg_non_ignore=True),
]
# One pixel in a hundred is predicted target at the start, as by SmallTargetHead. Without it the
# layers before learn to press all pixels down, and those of a target can end at nothing too.
few_targets = dict(type="Normal", std=0.01, bias=-4.6, override=dict(name="conv_seg"))
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        # As in pre-training: mean 0.425 and std 0.200 of [0, 1], on three equal channels.
        mean=[108.375, 108.375, 108.375],
        std=[51.0, 51.0, 51.0],
        bgr_to_rgb=False,
        pad_val=0,
        seg_pad_val=255,
        # Tests are at native size: padded for the network, and cut back before they are scored.
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(type="mmspec.ConvViT", arch="base", out_indices=(0, 1, 2), drop_path_rate=0.2),
    decode_head=dict(
        type="mmspec.SmallTargetHead",
        in_channels=[256, 384, 768],
        channels=64,
        upscale=4,
        deep_supervision=1.0,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=losses,
    ),
    train_cfg=dict(),
    # Sliding, for images that do not fit into memory: dict(mode="slide", crop_size=(512, 512),
    # stride=(384, 384)).
    test_cfg=dict(mode="whole"),
)
