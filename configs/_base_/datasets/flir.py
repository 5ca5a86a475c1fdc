# Pairs of FLIR aligned for a detector with masks, in ViTDet's large-scale jitter.
_base_ = "./m3fd.py"

scale = (960, 960)  # (width, height) of crops, and the bounds of test images

# `modality` of a data set decides what is loaded: a pair, or one image of it.
load = dict(type="mmspec.LoadRGBTImageFromFile")
train_pipeline = [
    load,
    # The data sets have boxes and no masks: the mask branch learns the whole box, as it did for the
    # published numbers.
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True, poly2mask=False),
    dict(type="RandomFlip", prob=0.5),
    # Large-scale jitter.
    dict(type="RandomResize", scale=scale, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute",
        crop_size=scale,  # (width, height)
        bbox_clip_border=False,
        allow_negative_crop=True,
    ),
    dict(type="mmspec.ClipBoxes"),  # slivers of objects are no objects
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="mmspec.RGBTPhotometric"),
    # Before the packing, each by choice:
    # dict(type="mmspec.MisalignPair", max_shift=4),
    # dict(type="mmspec.DropModality", prob=0.2),  # either image alone then serves in tests
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "channels"),
    ),
]
test_pipeline = [
    load,
    dict(type="Resize", scale=scale, keep_ratio=True),
    dict(
        type="PackDetInputs",
        # DetectionMetric and the pictures take the truth from "instances".
        meta_keys=(
            "img_id",
            "img_path",
            "ori_shape",
            "img_shape",
            "scale_factor",
            "channels",
            "instances",
        ),
    ),
]
train_dataloader = dict(
    dataset=dict(
        type="mmspec.FLIRDataset", modality="both", box_masks=True, pipeline=train_pipeline
    )
)
val_dataloader = dict(
    dataset=dict(type="mmspec.FLIRDataset", modality="both", pipeline=test_pipeline)
)
test_dataloader = val_dataloader
