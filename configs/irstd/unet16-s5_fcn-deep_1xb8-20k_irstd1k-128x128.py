# The small U-Net with every level of its decoder supervised, for two and a half times as long.
_base_ = "./unet16-s5_fcn_1xb8-8k_irstd1k-128x128.py"

# ============ Often changed ============
max_iters = 20000

# ============ Sometimes changed ============
val_interval = 5000

# ============ Rarely changed ============
model = dict(
    auxiliary_head=[
        dict(_base_.model.decode_head, in_index=index, in_channels=channels, channels=channels)
        for index, channels in ((1, 128), (2, 64), (3, 32))
    ],
)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
