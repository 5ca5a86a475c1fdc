# Baseline on rendered scenes: mmseg's plain U-Net, four stages of 16 to 128 channels, for one CPU.
_base_ = "./scratch_convvit-tiny_unet_1xb8-4k_synthetic-64x64.py"

# ============ Often changed ============
batch_size = 16
max_iters = 1000

# ============ Sometimes changed ============
val_interval = 250

# ============ Rarely changed ============
norm_cfg = dict(type="BN")
model = dict(
    backbone=dict(
        _delete_=True,
        type="UNet",
        in_channels=1,
        base_channels=16,
        num_stages=4,
        strides=(1, 1, 1, 1),
        enc_num_convs=(2, 2, 2, 2),
        dec_num_convs=(2, 2, 2),
        downsamples=(True, True, True),
        enc_dilations=(1, 1, 1, 1),
        dec_dilations=(1, 1, 1),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        _delete_=True,
        type="FCNHead",
        in_channels=16,
        in_index=3,
        channels=16,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        out_channels=1,
        threshold=0.5,
        align_corners=False,
        loss_decode=_base_.losses,
        init_cfg=_base_.few_targets,
    ),
)
optim_wrapper = dict(_delete_=True, type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-3))
train_dataloader = dict(batch_size=batch_size)
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
