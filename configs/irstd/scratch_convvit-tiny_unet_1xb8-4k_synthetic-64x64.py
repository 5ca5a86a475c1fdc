# A tiny encoder with a light U-Net decoder, from scratch on rendered scenes with one to four
# targets of 1 to about 9 pixels in each: nothing to download, for one CPU.
_base_ = "./scratch_convvit-tiny_unet_1xb8-1k_sirstv2-128x128.py"

# ============ Often changed ============
num_train, num_test = 3200, 200
batch_size = 8
max_iters = 4000

# ============ Sometimes changed ============
scene_size = (128, 128)
crop_size = (64, 64)
val_interval = 1000

# ============ Rarely changed ============
# Scenes come as gray levels of one channel, with their labels.
model = dict(
    data_preprocessor=dict(mean=[108.375], std=[51.0], size=crop_size),
    backbone=dict(in_channels=1, drop_path_rate=0.0),
    # At 1/4 and coarser a target of a pixel is a cell: a hint on the way, no more.
    decode_head=dict(deep_supervision=0.25),
)
train_pipeline = [
    dict(type="mmspec.TargetCrop", crop_size=crop_size),
    dict(type="RandomFlip", prob=[0.25, 0.25], direction=["horizontal", "vertical"]),
    dict(type="PackSegInputs"),
]
test_pipeline = [dict(type="PackSegInputs")]
scenes = dict(_delete_=True, type="mmspec.SyntheticInfrared", size=scene_size, labels="points")
train_dataloader = dict(
    batch_size=batch_size,
    dataset={**scenes, "length": num_train, "seed": 0, "pipeline": train_pipeline},
)
val_dataloader = dict(
    dataset={**scenes, "length": num_test, "seed": 1, "pipeline": test_pipeline, "test_mode": True}
)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
