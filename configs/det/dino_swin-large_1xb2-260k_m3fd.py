# DINO on a Swin-L on M3FD, infrared alone: table 2 of InfMAE (arXiv 2402.00407).
# mmdet's model, weights, augmentation and optimiser, with its learning rate for 16 images scaled to
# 2; the paper's data, batch and schedule.
# Multi-scale deformable attention runs in PyTorch where mmcv has no compiled operators.
_base_ = "mmdet::dino/dino-5scale_swin-l_8xb2-12e_coco.py"

# ============ Often changed ============
data_root = "data/M3FD"
batch_size = 2
num_workers = 4
max_iters = 260000
num_classes = 6

# ============ Sometimes changed ============
val_interval = 26000
lr = 1e-4 * batch_size / 16

# ============ Rarely changed ============
custom_imports = dict(imports=["mmspec"], allow_failed_imports=False)
model = dict(bbox_head=dict(num_classes=num_classes))

train_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    *_base_.train_pipeline[1:],
]
# After the crop of one in two images: slivers of objects are no objects.
train_pipeline[3].transforms[1][1].update(bbox_clip_border=False)
train_pipeline[3].transforms[1].insert(2, dict(type="mmspec.ClipBoxes"))
test_pipeline = [
    dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"),
    dict(type="Resize", scale=(1333, 800), keep_ratio=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "instances"),
    ),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    sampler=dict(_delete_=True, type="InfiniteSampler", shuffle=True),
    batch_sampler=None,  # mmdet's groups by aspect ratio; all images here have one
    dataset=dict(
        _delete_=True,
        type="mmspec.M3FDDataset",
        data_root=data_root,
        split="train",
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(
        _delete_=True,
        type="mmspec.M3FDDataset",
        data_root=data_root,
        split="test",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="mmspec.DetectionMetric")
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, type="IterBasedTrainLoop", max_iters=max_iters, val_interval=val_interval
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=1000, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0.0, begin=1000, end=max_iters, by_epoch=False),
]
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(
        type="mmspec.DurableCheckpointHook",
        by_epoch=False,
        interval=val_interval,
        max_keep_ckpts=2,
    ),
    resume=dict(type="mmspec.ResumeHook"),
    schedule=dict(type="mmspec.ScheduleHook"),
    draws=dict(type="mmspec.RepeatableDrawsHook"),
    inherited=dict(type="mmspec.InheritedValuesHook"),
    visualization=dict(_delete_=True, type="mmspec.DetectionPictureHook", num_images=8),
)
log_processor = dict(by_epoch=False)
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
randomness = dict(seed=0)
