# Tiny small-target detection on infrared images of your own (docs/your_data.md), for one CPU.
# From scratch: after 400 iterations on rendered targets (scratch_..._synthetic-64x64.py, one seed)
# the encoder "tiny" had an IoU of 41.0 and a Pd of 87.5, random weights 39.7 and 90.4.
_base_ = "./infmae_convvit-tiny_unet_1xb8-1k_sirstv2-128x128.py"

# ============ Often changed ============
data_root = "data/mine"  # images/NAME.*, masks/NAME.* (0 and 255), train.txt and val.txt
checkpoint = None  # "tiny" (WEIGHTS.md), or work_dirs/tiny/epoch_20.pth, say; None: scratch
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0, 100), float32=True)
batch_size = 8
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (128, 128)  # in training; tests see whole images
val_interval = 250

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
mine = dict(
    _delete_=True,
    type="mmspec.SmallTargetDataset",
    data_root=data_root,
    infrared_scale=infrared_scale,
)
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(**mine, split="train", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(**mine, split="val", pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="IoU", rule="greater"))
