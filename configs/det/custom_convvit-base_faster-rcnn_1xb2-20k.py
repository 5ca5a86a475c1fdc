# A detector with the paper's encoder for infrared images of your own, with the boxes that
# tools/dataset_converters/to_coco.py leaves (docs/your_data.md), for one GPU.
_base_ = "./infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"

# ============ Often changed ============
data_root = "data/mine"  # annotations/train.json, annotations/val.json and the images they name
classes = ("person", "car")  # as to_coco.py printed them
checkpoint = "InfMAE.pth"  # an encoder to start from; None: scratch
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 2
max_iters = 20000

# ============ Sometimes changed ============
scale = (1024, 768)  # (width, height) to which images are scaled
val_interval = 2000

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)
    ),
    roi_head=dict(
        bbox_head=dict(num_classes=len(classes)), mask_head=None, mask_roi_extractor=None
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[1] = dict(type="LoadAnnotations", with_bbox=True)
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=scale)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
mine = dict(
    type="mmspec.InfraredDetDataset",
    data_root=data_root,
    infrared_scale=infrared_scale,
    metainfo=dict(classes=classes),
)
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(**mine, split="train", box_masks=False, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(**mine, split="val", pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="mAP", rule="greater"))
