# The base encoder on IRSTD-1k in 64,000 images in place of 480,000: meant to fit ten minutes of one
# H100, by arithmetic alone; it has run on no GPU here. Learning rate: four times that of 2 images,
# the square root of 16.
_base_ = "./infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/irstd1k"
batch_size = 32
num_workers = 8
max_iters = 2000

# ============ Sometimes changed ============
warmup_iters = 200
val_interval = 1000
lr = 4e-3

# ============ Rarely changed ============
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
val_dataloader = dict(num_workers=num_workers, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(type="mmspec.AmpOptimWrapper", optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
