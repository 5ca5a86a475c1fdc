# Model, data and schedule of M-SpecGene pre-training (ICCV 2025, arXiv 2507.16318).
_base_ = "./runtime.py"

model = dict(
    type="mmspec.MSpecGene",
    # The mean and std of ImageNet for both modalities, as released.
    data_preprocessor=dict(
        type="mmspec.RGBTDataPreprocessor",
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type="mmspec.MaskedViT", arch="base", img_size=224, patch_size=16),
    neck=dict(type="mmspec.DualModalityDecoder", in_dims=768, dims=512, depth=4, num_heads=16),
    head=dict(type="mmspec.ReconstructionHead", patch_size=16, norm_pix=True),
    masker=dict(type="mmspec.CMSSMasking", mask_ratio=0.9),
)

image_size = 224
# What a data sample keeps: the names of the channels, which the data preprocessor goes by.
meta_keys = ("sample_idx", "img_path", "ori_shape", "img_shape", "flip", "channels")
train_pipeline = [
    dict(type="mmspec.LoadRGBTImageFromFile"),
    dict(
        type="mmspec.TransformPair",
        # One crop and one flip for both images.
        both=[
            dict(
                type="RandomResizedCrop",
                scale=image_size,
                crop_ratio_range=(0.2, 1.0),
                backend="pillow",
                interpolation="bicubic",
            ),
            dict(type="RandomFlip", prob=0.5),
        ],
        # Photometric steps of each image alone, as mmspec.InfraredPhotometric; none as released.
        infrared=[],
        visible=[],
    ),
    dict(type="PackInputs", meta_keys=meta_keys),
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
        data_root="data/rgbt550k_test",
        infrared="ir",
        visible="rgb",
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type="mmspec.ReconstructionMetric")
test_cfg = dict()

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        # Not named bias by their module, and so not found by the line before.
        custom_keys=dict(
            mask_token=dict(decay_mult=0.0),
            cls_token=dict(decay_mult=0.0),
            q_bias=dict(decay_mult=0.0),
            v_bias=dict(decay_mult=0.0),
        ),
    ),
)

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1e-4,
        begin=0,
        end=10,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type="CosineAnnealingLR", begin=10, end=100, by_epoch=True, convert_to_iter_based=True),
]
# The learning rate is that of 1024 pairs; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=1024)

custom_hooks = [
    dict(type="mmspec.CMSSScheduleHook"),
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
    dict(type="mmspec.ReconstructionVisualizationHook", interval=5, num_images=4),
    dict(type="mmspec.CMSSVisualizationHook", interval=5, num_pairs=4),
]
