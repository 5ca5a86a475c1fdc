# The same with the visible images alone, and the same truth.
_base_ = "./mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"

# ============ Often changed ============
modality = "visible"

# ============ Rarely changed ============
model = dict(
    backbone=dict(_delete_=True, **_base_.encoder),
    neck=dict(in_channels=192),
)
train_dataloader = dict(dataset=dict(modality=modality))
val_dataloader = dict(dataset=dict(modality=modality))
test_dataloader = val_dataloader
