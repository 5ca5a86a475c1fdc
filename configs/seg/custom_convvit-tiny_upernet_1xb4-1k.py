# Tiny segmentation of infrared images of your own (docs/your_data.md), for one CPU.
_base_ = "./infmae_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"

# ============ Often changed ============
data_root = "data/mine"
# Where images and label PNGs lie below it, and lists of names: here as `to_coco.py --label-images`
# leaves them. For images/{train,val}/ and labels/{train,val}/ without lists: ann_file = None and
# data_prefix = dict(infrared_path="images/{split}", seg_map_path="labels/{split}").
data_prefix = dict(infrared_path="", seg_map_path="label_images")
ann_file = "{split}.txt"
classes = ("background", "leak")
label_values = None  # class of each pixel value, {0: 0, 255: 1}; None: the values are the classes
# An encoder to start from: one that mmspec ships (WEIGHTS.md), or a file of yours, such as
# work_dirs/tiny/epoch_20.pth; None: from scratch.
checkpoint = "tiny"
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 4
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (240, 320)  # (height, width) to which images are scaled, and of the training crops
val_interval = 250

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)
    ),
    decode_head=dict(num_classes=len(classes)),
    auxiliary_head=dict(num_classes=len(classes)),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=crop_size[::-1])
train_pipeline[3].update(crop_size=crop_size, cat_max_ratio=1.0 if len(classes) < 3 else 0.75)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=crop_size[::-1])
mine = dict(
    _delete_=True,
    type="mmspec.InfraredSegDataset",
    data_root=data_root,
    infrared_scale=infrared_scale,
    data_prefix=data_prefix,
    ann_file=ann_file,
    metainfo=dict(classes=classes),
    label_values=label_values,
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
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="mIoU", rule="greater"))
