# A small U-Net, 16 channels at full resolution to 256 at 1/16, on IRSTD-1k: for one CPU core.
# In the cross-entropy a target pixel counts once: ten times finds more targets and more false ones
# (README).
_base_ = [
    "../_base_/models/unet_convvit-base.py",
    "../_base_/datasets/irstd1k.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/irstd.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/irstd1k"
batch_size = 8
num_workers = 1
max_iters = 8000

# ============ Sometimes changed ============
crop_size = (128, 128)
target_share = 0.5  # of crops that are drawn around a target
clutter_share = 0.4  # of crops around a bright speck that is none
warmup_iters = 200
val_interval = 2000
lr = 5e-4

# ============ Rarely changed ============
losses = _base_.losses
losses[1].pop("class_weight")
norm_cfg = dict(type="BN")
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(_delete_=True, type="UNet", in_channels=3, base_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=16,
        in_index=4,
        channels=16,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=losses,
        init_cfg=_base_.few_targets,
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(crop_size=crop_size, prob=target_share, clutter=clutter_share)
# With the quarter turn, all eight positions of a square.
train_pipeline[3].update(prob=[0.25] * 3, direction=["horizontal", "vertical", "diagonal"])
train_pipeline.insert(4, dict(type="RandomRotate", prob=0.5, degree=(90.0, 90.0)))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(num_workers=num_workers, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True,
    type="mmspec.Bfloat16OptimWrapper",
    optimizer=dict(type="AdamW", lr=lr, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
