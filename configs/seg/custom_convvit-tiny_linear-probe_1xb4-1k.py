# A linear probe of a frozen tiny encoder on infrared images of your own (docs/probe.md): folder,
# classes and checkpoint are those of the file that `_base_` names; write your copy of it there.
_base_ = "./custom_convvit-tiny_upernet_1xb4-1k.py"

# ============ Sometimes changed ============
lr = 1e-3

# ============ Rarely changed ============
model = dict(
    backbone=dict(out_indices=(0, 1, 2), frozen_stages=3, drop_path_rate=0.0),
    decode_head=dict(
        _delete_=True,
        type="mmspec.LinearHead",
        in_channels=[48, 96, 224],
        num_classes=len(_base_.classes),
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=1.0),
    ),
    auxiliary_head=None,
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=lr, weight_decay=1e-4),
)
