# Infrared segmentation on MSRS: the recipe of the InfMAE paper, section 5.2, filled up from
# ConvMAE's.
_base_ = "../infrared_scale.py"

crop_size = (480, 640)
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="RandomResize", scale=crop_size[::-1], ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="mmspec.SegmentationCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.InfraredPhotometric"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="Resize", scale=crop_size[::-1], keep_ratio=True),
    # After the resize: predictions are compared at the label's own size.
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmspec.MSRSDataset",
        data_root="data/MSRS",
        split="train",
        infrared_scale=_base_.infrared_scale,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmspec.MSRSDataset",
        data_root="data/MSRS",
        split="test",
        infrared_scale=_base_.infrared_scale,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmspec.SegmentationMetric")
test_evaluator = val_evaluator
