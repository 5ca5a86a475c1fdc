# UperNet over infrared / visible pairs: M-SpecGene's segmentation (arXiv 2507.16318). One encoder
# for both modalities, whose maps after blocks 4, 6, 8 and 12 at 1/16 are concatenated and brought
# to 1/4 ... 1/32 by mmseg's Feature2Pyramid, as in its MAE configs.
_base_ = ["./seg_finetune.py", "./seg_upernet.py"]

# Images are scaled until their shorter side is that of the crop, times 0.5 to 2 in training. Most
# are smaller and so enlarged (MVSeg 320 x 480, MFNet and MSRS 480 x 640, FMB 600 x 800). A crop of
# 480 and a stride of 213 leave 480 x 640 as it is and cost 0.4 times the pixels; then the scale in
# either pipeline, SegmentationCrop, the data preprocessor's size and test_cfg change together.
crop_size = (768, 768)
stride = (341, 341)
preprocessing = dict(
    type="mmspec.RGBTSegDataPreprocessor",
    # As in pre-training: the mean and std of ImageNet for both modalities.
    mean_infrared=[123.675, 116.28, 103.53],
    std_infrared=[58.395, 57.12, 57.375],
    mean_visible=[123.675, 116.28, 103.53],
    std_visible=[58.395, 57.12, 57.375],
    seg_pad_val=255,
    size=crop_size,
)
data_preprocessor = dict(_delete_=True, **preprocessing)
model = dict(
    data_preprocessor=preprocessing,
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
    test_cfg=dict(mode="slide", crop_size=crop_size, stride=stride),
)

# `modality` of a data set decides what is loaded: a pair, or one image of it.
load = dict(type="mmspec.LoadRGBTImageFromFile")
pack = dict(
    type="PackSegInputs",
    meta_keys=(
        "img_path",
        "seg_map_path",
        "ori_shape",
        "img_shape",
        "pad_shape",
        "scale_factor",
        "flip",
        "flip_direction",
        "reduce_zero_label",
        "channels",
    ),
)
scale = (4 * crop_size[1], crop_size[0])  # (longest, shorter) side: the latter counts
train_pipeline = [
    load,
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="RandomResize", scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="mmspec.SegmentationCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.RGBTPhotometric"),
    # Before the packing, each by choice:
    # dict(type="mmspec.MisalignPair", max_shift=4),
    # dict(type="mmspec.DropModality", prob=0.2),  # either image alone then serves in tests
    pack,
]
test_pipeline = [
    load,
    dict(type="Resize", scale=scale, keep_ratio=True),
    # After the resize: predictions are compared at the label's own size.
    dict(type="mmspec.LoadSegmentationLabels"),
    pack,
]
train_dataloader = dict(dataset=dict(modality="both", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(modality="both", pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay_rate=0.65),
)
train_cfg = dict(max_iters=320000, val_interval=32000)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1500, end=320000, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=32000))
