# A tiny InfMAE encoder with a light U-Net decoder on IRSTD-1k, for one CPU core. Unlike the small
# U-Net here, a target pixel counts ten times, and no crops are drawn round clutter (README).
_base_ = "./infmae_convvit-tiny_unet_1xb8-1k_sirstv2-128x128.py"

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/irstd1k"
max_iters = 3000

# ============ Sometimes changed ============
val_interval = 1000

# ============ Rarely changed ============
train_dataloader = dict(dataset=dict(type="mmspec.IRSTD1kDataset", data_root=data_root))
val_dataloader = dict(dataset=dict(type="mmspec.IRSTD1kDataset", data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(type="mmspec.Bfloat16OptimWrapper")
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
