# Aligned pairs in two folders, for pre-training; masks are drawn in the model.
_base_ = "../infrared_scale.py"

image_size = 224
# What a data sample keeps: the names of the channels, which the data preprocessor goes by.
meta_keys = ("sample_idx", "img_path", "ori_shape", "img_shape", "flip", "channels")
train_pipeline = [
    dict(type="mmspec.LoadRGBTImageFromFile"),
    # One crop and one flip for both images.
    dict(type="mmspec.RandomView", scale=image_size, crop_ratio_range=(0.2, 1.0)),
    # Photometric steps, as dict(type="mmspec.RGBTPhotometric"), belong here; none as released.
    dict(type="mmspec.PackImage"),  # no data samples
]
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmspec.RGBTFolder",
        infrared_scale=_base_.infrared_scale,
        data_root="data/rgbt550k",
        infrared="ir",
        visible="rgb",
        pipeline=train_pipeline,
    ),
)

# Held-out pairs, for `tools/test.py`: the errors on masked patches, both modalities added.
test_pipeline = [
    dict(type="mmspec.LoadRGBTImageFromFile"),
    dict(
        type="mmspec.TransformPair",
        both=[
            dict(type="ResizeEdge", scale=image_size, edge="short", backend="pillow"),
            dict(type="CenterCrop", crop_size=image_size),
        ],
    ),
    dict(type="PackInputs", meta_keys=meta_keys),
]
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmspec.RGBTFolder",
        infrared_scale=_base_.infrared_scale,
        data_root="data/rgbt550k_test",
        infrared="ir",
        visible="rgb",
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type="mmspec.ReconstructionMetric")
