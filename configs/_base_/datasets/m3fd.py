# Infrared detection on M3FD, boxes alone: the recipe of the InfMAE paper, section 5.3, filled up
# from ConvMAE's and ViTDet's.
_base_ = "../infrared_scale.py"

scale = (1024, 768)  # (width, height) of M3FD
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomResize", scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute",
        crop_size=scale,  # mmdet takes (width, height) here
        bbox_clip_border=False,
        allow_negative_crop=True,
    ),
    dict(type="mmspec.ClipBoxes"),  # slivers of objects are no objects
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.InfraredPhotometric"),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="Resize", scale=scale, keep_ratio=True),
    dict(
        type="PackDetInputs",
        # DetectionMetric and the pictures take the truth from "instances".
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "instances"),
    ),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmspec.M3FDDataset",
        infrared_scale=_base_.infrared_scale,
        data_root="data/M3FD",
        split="train",
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmspec.M3FDDataset",
        infrared_scale=_base_.infrared_scale,
        data_root="data/M3FD",
        split="test",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmspec.DetectionMetric")
test_evaluator = val_evaluator
