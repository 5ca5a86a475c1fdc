# Small-target detection on infrared images of your own with the paper's encoder
# (docs/your_data.md), for one GPU.
_base_ = "./infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"

# ============ Often changed ============
data_root = "data/mine"  # images/NAME.*, masks/NAME.* (0 and 255), train.txt and val.txt
checkpoint = "InfMAE.pth"  # an encoder to start from; None: scratch
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0, 100), float32=True)
batch_size = 2
max_iters = 20000

# ============ Sometimes changed ============
crop_size = (512, 512)  # in training; tests see whole images
val_interval = 2000

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
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="IoU", rule="greater"))
