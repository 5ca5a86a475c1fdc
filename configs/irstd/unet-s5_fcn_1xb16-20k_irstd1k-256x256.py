# Baseline: mmseg's plain U-Net from scratch, in the recipe that BasicIRSTD trains its networks by:
# Adam 5e-4, a tenth of it after half and three quarters of 400 epochs (20,000 iterations of 16
# images), 256 crops with half of them round a target, SoftIoU. Not theirs: InfraredPhotometric and
# the normalization of our pre-training; they transpose, and take the mean and std of the data set.
# No published number is for this network and recipe.
_base_ = [
    "../_base_/models/unet_convvit-base.py",
    "../_base_/datasets/irstd1k.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/irstd.py",
]

# ============ Often changed ============
data_root = "data/IRSTD-1k"
batch_size = 16
num_workers = 4
max_iters = 20000

# ============ Sometimes changed ============
crop_size = (256, 256)
val_interval = 2000
lr = 5e-4

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        _delete_=True, type="UNet", in_channels=3, base_channels=64, norm_cfg=_base_.norm_cfg
    ),
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=64,
        in_index=4,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        norm_cfg=_base_.norm_cfg,
        align_corners=False,
        loss_decode=dict(type="mmspec.SoftIoULoss", over="batch"),
        init_cfg=_base_.few_targets,
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(crop_size=crop_size)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=num_workers, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(_delete_=True, type="OptimWrapper", optimizer=dict(type="Adam", lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = [
    dict(
        type="MultiStepLR",
        milestones=[max_iters // 2, 3 * max_iters // 4],
        gamma=0.1,
        end=max_iters,
        by_epoch=False,
    )
]
default_hooks = dict(checkpoint=dict(interval=val_interval))
