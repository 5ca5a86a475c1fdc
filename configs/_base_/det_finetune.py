# Fine-tuning for infrared detection with mmdet: data pipelines, schedule, log, metric, pictures.
# The recipe is that of the InfMAE paper, section 5.3, filled up from ConvMAE's and ViTDet's.
_base_ = "./runtime.py"

default_scope = "mmdet"

scale = (1024, 768)  # (width, height) of M3FD
data_preprocessor = dict(
    type="DetDataPreprocessor",
    # As in pre-training: mean 0.425 and std 0.200 of [0, 1], on three equal channels.
    mean=[108.375, 108.375, 108.375],
    std=[51.0, 51.0, 51.0],
    bgr_to_rgb=False,
    pad_size_divisor=32,
)
train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", channels=3),
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
    dict(type="mmspec.LoadInfraredImageFromFile", channels=3),
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
        data_root="data/M3FD",
        split="test",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmspec.DetectionMetric")
test_evaluator = val_evaluator

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
    constructor="mmspec.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.8, norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=260000, val_interval=26000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=1000, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0.0, begin=1000, end=260000, by_epoch=False),
]
# The learning rate is that of 2 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=2)

default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=26000, max_keep_ckpts=2),
    visualization=dict(type="mmspec.DetectionPictureHook", num_images=8),
)
log_processor = dict(by_epoch=False)
visualizer = dict(type="DetLocalVisualizer")
env_cfg = dict(cudnn_benchmark=False)  # images are of many sizes
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
