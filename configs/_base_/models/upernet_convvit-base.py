# UPerHead on the four maps of a base encoder and an auxiliary FCNHead on its third, as in mmseg.
# SyncBN is BatchNorm in a single process, with or without a GPU.
norm_cfg = dict(type="SyncBN", requires_grad=True)
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
    ),
    backbone=dict(type="mmspec.ConvViT", arch="base", drop_path_rate=0.2),
    decode_head=dict(
        type="UPerHead",
        in_channels=[256, 384, 768, 768],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        num_classes=9,
        norm_cfg=norm_cfg,
        align_corners=False,
        # Crops of shrunken images are padded; padding must not dilute the loss.
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=768,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=9,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=0.4),
    ),
    train_cfg=dict(),
    # Sliding: dict(mode="slide", crop_size=(480, 640), stride=(320, 427)).
    test_cfg=dict(mode="whole"),
)
