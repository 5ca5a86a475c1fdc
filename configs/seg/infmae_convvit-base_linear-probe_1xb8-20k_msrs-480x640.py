# A linear probe of a frozen InfMAE encoder on MSRS (docs/probe.md): one 1x1 convolution over its
# standardised maps at 1/4, 1/8 and 1/16, side by side. UNIP (ICLR 2025) judges MAE, iBOT and others
# by this protocol. F3 alone: decode_head.in_channels=[768] and decode_head.in_index=[2].
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = "work_dirs/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"
batch_size = 8
max_iters = 20000

# ============ Sometimes changed ============
val_interval = 2000
lr = 1e-3

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        out_indices=(0, 1, 2),
        frozen_stages=3,
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint=checkpoint),
    ),
    decode_head=dict(
        _delete_=True,
        type="mmspec.LinearHead",
        in_channels=[256, 384, 768],
        num_classes=9,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    ),
    auxiliary_head=None,
)
train_dataloader = dict(batch_size=batch_size)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=lr, weight_decay=1e-4),
)
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
