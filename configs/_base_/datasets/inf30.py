# A folder of infrared images for pre-training; masks are made in the model.
_base_ = "../infrared_scale.py"

image_size = 224
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile"),
    dict(type="mmspec.RandomView", scale=image_size, crop_ratio_range=(0.2, 1.0)),
    dict(type="mmspec.PackImage"),  # no data samples
]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmspec.InfraredFolder",
        data_root="data/inf30",
        infrared_scale=_base_.infrared_scale,
        pipeline=train_pipeline,
    ),
)

# Held-out images, for `tools/test.py`: the error on masked patches.
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile"),
    dict(type="ResizeEdge", scale=image_size, edge="short", backend="pillow"),
    dict(type="CenterCrop", crop_size=image_size),
    dict(type="PackInputs"),
]
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmspec.InfraredFolder",
        infrared_scale=_base_.infrared_scale,
        data_root="data/inf30_test",
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type="mmspec.ReconstructionMetric")
