# A tiny InfMAE encoder with a light U-Net decoder on SIRST-v2, for one CPU.
_base_ = [
    "../_base_/models/unet_convvit-base.py",
    "../_base_/datasets/irstd1k.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/irstd.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/sirst_v2"
checkpoint = "work_dirs/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini/epoch_20.pth"
batch_size = 8
num_workers = 1
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (128, 128)
warmup_iters = 50
val_interval = 250
lr = 1e-3
# 3: the encoder stays as it was pre-trained, the decoder alone learns, better at lr = 3e-3 (README)
frozen_stages = -1
layer_decay = 1.0  # a network that starts from scratch needs the full rate in its first stages

# ============ Rarely changed ============
norm_cfg = dict(type="BN")
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        arch="tiny",
        drop_path_rate=0.1,
        frozen_stages=frozen_stages,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    decode_head=dict(in_channels=[48, 96, 224], norm_cfg=norm_cfg),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(crop_size=crop_size)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(type="mmspec.SIRSTv2Dataset", data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type="mmspec.SIRSTv2Dataset", data_root=data_root),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=val_interval))
