# Model, data and schedule of InfMAE pre-training (arXiv 2402.00407, sections 4 and 5.1).
_base_ = "./runtime.py"

model = dict(
    type="mmspec.InfMAE",
    data_preprocessor=dict(
        type="SelfSupDataPreprocessor",
        # One gray channel in, three equal ones out: mean 0.425 and std 0.200 of [0, 1].
        mean=[108.375, 108.375, 108.375],
        std=[51.0, 51.0, 51.0],
        to_rgb=False,
    ),
    backbone=dict(type="mmspec.ConvViT", arch="base", pretraining=True, out_indices=(0, 1, 2)),
    neck=dict(type="mmspec.InfMAEDecoder", in_dims=768, dims=512, depth=2, num_heads=16),
    head=dict(type="mmspec.ReconstructionHead", patch_size=16, norm_pix=False),
)

image_size = 224
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile"),
    dict(
        type="RandomResizedCrop",
        scale=image_size,
        crop_ratio_range=(0.2, 1.0),
        backend="pillow",
        interpolation="bicubic",
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.InformationAwareMask", score="intensity", stride=4),
    dict(type="PackInputs", algorithm_keys=["ids_keep"]),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="mmspec.InfraredFolder", data_root="data/inf30", pipeline=train_pipeline),
)

# Held-out images, for `tools/test.py`: the error on masked patches.
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile"),
    dict(type="ResizeEdge", scale=image_size, edge="short", backend="pillow"),
    dict(type="CenterCrop", crop_size=image_size),
    dict(type="mmspec.InformationAwareMask", score="intensity", stride=4),
    dict(type="PackInputs", algorithm_keys=["ids_keep"]),
]
test_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmspec.InfraredFolder",
        data_root="data/inf30_test",
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type="mmspec.ReconstructionMetric")
test_cfg = dict()

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=dict(mask_token=dict(decay_mult=0.0), cls_token=dict(decay_mult=0.0)),
    ),
)

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=400)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1e-4,
        begin=0,
        end=40,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type="CosineAnnealingLR", begin=40, end=400, by_epoch=True, convert_to_iter_based=True),
]
# The learning rate is that of 256 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=256)

custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
    dict(type="mmspec.ReconstructionVisualizationHook", interval=20),
]
