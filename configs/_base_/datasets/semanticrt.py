# Pairs of SemanticRT for segmentation.
_base_ = "./msrs.py"

# Images are scaled until their shorter side is that of the crop, times 0.5 to 2 in training. Most
# are smaller and so enlarged (MVSeg 320 x 480, MFNet and MSRS 480 x 640, FMB 600 x 800). A crop of
# 480 and a stride of 213 leave 480 x 640 as it is and cost 0.4 times the pixels; then the scale in
# either pipeline, SegmentationCrop, the data preprocessor's size and test_cfg change together.
crop_size = (768, 768)
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
pairs = dict(type="mmspec.SemanticRTDataset", data_root="data/SemanticRT", modality="both")
train_dataloader = dict(dataset=dict(**pairs, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**pairs, split="val", pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(**pairs, split="test", pipeline=test_pipeline))
