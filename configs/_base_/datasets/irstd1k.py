# Infrared small targets on IRSTD-1k: crops round targets, tests at native size, their own metric.
_base_ = "./msrs.py"

crop_size = (512, 512)
# 0.5 % of an image is more than its targets: nothing is clipped, and levels keep their fractions.
infrared_scale = dict(percentiles=(0, 100), float32=True)
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="mmspec.TargetCrop", crop_size=crop_size, prob=0.5),
    dict(type="RandomFlip", prob=[0.25, 0.25], direction=["horizontal", "vertical"]),
    # No noise: a dim target is one.
    dict(type="mmspec.InfraredPhotometric", noise=(0, 0)),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    dataset=dict(
        type="mmspec.IRSTD1kDataset",
        data_root="data/IRSTD-1k",
        split="trainval",
        infrared_scale=infrared_scale,
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    # Images differ in size: one at a time.
    batch_size=1,
    dataset=dict(
        type="mmspec.IRSTD1kDataset",
        data_root="data/IRSTD-1k",
        split="test",
        infrared_scale=infrared_scale,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="mmspec.SmallTargetMetric")
test_evaluator = val_evaluator
