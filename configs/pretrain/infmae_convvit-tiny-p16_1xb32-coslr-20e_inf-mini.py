# A tiny InfMAE (about 5 M parameters) on a few thousand infrared images, for one CPU or a small
# GPU.
_base_ = [
    "../_base_/models/infmae_convvit-base.py",
    "../_base_/datasets/inf30.py",
    "../_base_/schedules/pretrain_400e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/inf_mini/images"  # any folder of infrared images
test_root = "{{$MMSPEC_DATA:data}}/udder_seg/images/test"  # images that training did not see
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 32
num_workers = 1  # mim and mmpretrain want at least 1
max_epochs = 20

# ============ Sometimes changed ============
warmup_epochs = 1
lr = 1e-3  # 32 images a step; the paper's 1.5e-4 for 256 is far too slow for 2,600 steps

# ============ Rarely changed ============
model = dict(backbone=dict(arch="tiny"), neck=dict(in_dims=224, dims=128, depth=2, num_heads=4))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=data_root, infrared_scale=infrared_scale),
)
test_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=test_root, infrared_scale=infrared_scale),
)
optim_wrapper = dict(type="mmspec.Bfloat16OptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(logger=dict(interval=20))
custom_hooks = _base_.custom_hooks
custom_hooks[-1].update(interval=5)
