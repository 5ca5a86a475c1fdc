# Fine-tuning for infrared segmentation with mmseg: data pipelines, schedule, log, metric, pictures.
# The recipe is that of the InfMAE paper, section 5.2, filled up from ConvMAE's, its sibling.
_base_ = "./runtime.py"

default_scope = "mmseg"

crop_size = (480, 640)
data_preprocessor = dict(
    type="SegDataPreProcessor",
    # As in pre-training: mean 0.425 and std 0.200 of [0, 1], on three equal channels.
    mean=[108.375, 108.375, 108.375],
    std=[51.0, 51.0, 51.0],
    bgr_to_rgb=False,
    pad_val=0,
    seg_pad_val=255,
    size=crop_size,
)
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", channels=3),
    dict(type="mmspec.LoadSegmentationLabels"),
    dict(type="RandomResize", scale=crop_size[::-1], ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="mmspec.SegmentationCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmspec.InfraredPhotometric"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", channels=3),
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
        type="mmspec.MSRSDataset", data_root="data/MSRS", split="train", pipeline=train_pipeline
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
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmspec.SegmentationMetric")
test_evaluator = val_evaluator

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor="mmspec.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.75, norm_decay_mult=0.0, bias_decay_mult=0.0),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=240000, val_interval=24000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1500, end=240000, by_epoch=False),
]
# The learning rate is that of 2 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=2)

default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=24000, max_keep_ckpts=2),
    visualization=dict(type="mmspec.SegmentationOverlayHook", num_images=8),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type="SegLocalVisualizer")
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
