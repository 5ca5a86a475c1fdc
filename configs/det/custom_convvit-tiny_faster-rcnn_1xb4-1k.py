# A tiny detector for infrared images of your own, with the boxes that
# tools/dataset_converters/to_coco.py leaves (docs/your_data.md), for one CPU.
_base_ = "./infmae_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py"

# ============ Often changed ============
data_root = "data/mine"  # annotations/train.json, annotations/val.json and the images they name
classes = ("person", "car")  # as to_coco.py printed them
# An encoder to start from: one that mmspec ships (WEIGHTS.md), or a file of yours, such as
# work_dirs/tiny/epoch_20.pth; None: from scratch.
checkpoint = "tiny"
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 4
max_iters = 1000

# ============ Sometimes changed ============
scale = (640, 512)  # (width, height) to which images are scaled
crop_size = (320, 256)  # (width, height) in training
anchor_scale = 4  # times the stride: 4 for objects of 16 to 256 pixels, 8 for larger ones
val_interval = 250

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)
    ),
    rpn_head=dict(anchor_generator=dict(scales=[anchor_scale])),
    roi_head=dict(bbox_head=dict(num_classes=len(classes))),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
mine = dict(
    type="mmspec.InfraredDetDataset",
    data_root=data_root,
    infrared_scale=infrared_scale,
    metainfo=dict(classes=classes),
)
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(**mine, split="train", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(**mine, split="val", pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="mAP", rule="greater"))
