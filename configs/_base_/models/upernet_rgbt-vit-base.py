# UperNet over infrared / visible pairs: M-SpecGene's segmentation (arXiv 2507.16318). One encoder
# for both modalities, whose maps after blocks 4, 6, 8 and 12 at 1/16 are concatenated and brought
# to 1/4 ... 1/32 by mmseg's Feature2Pyramid, as in its MAE configs.
_base_ = "./upernet_convvit-base.py"

model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type="mmspec.RGBTSegDataPreprocessor",
        # As in pre-training: the mean and std of ImageNet for both modalities.
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
        seg_pad_val=255,
    ),
    backbone=dict(
        _delete_=True,
        type="mmspec.RGBTBackbone",
        fusion="concat",
        backbone=dict(
            type="mmspec.MaskedViT",
            arch="base",
            img_size=224,  # of the positions, interpolated to the image
            out_indices=(3, 5, 7, 11),
            final_norm=False,
            drop_path_rate=0.1,
        ),
    ),
    neck=dict(
        type="Feature2Pyramid",
        embed_dim=2 * 768,
        rescales=[4, 2, 1, 0.5],
        norm_cfg=dict(type="SyncBN", requires_grad=True),
    ),
    decode_head=dict(in_channels=[2 * 768] * 4, channels=768),
    auxiliary_head=dict(in_channels=2 * 768),
    test_cfg=dict(mode="slide", crop_size=(768, 768), stride=(341, 341)),
)
