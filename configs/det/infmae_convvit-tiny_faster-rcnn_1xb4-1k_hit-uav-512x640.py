# A tiny InfMAE encoder with a narrow Faster R-CNN (Mask R-CNN without its mask branch) on HIT-UAV,
# infrared images taken from a drone, for one CPU.
_base_ = [
    "../_base_/models/mask-rcnn_convvit-base.py",
    "../_base_/datasets/m3fd.py",
    "../_base_/schedules/det_260k.py",
    "../_base_/runtimes/det.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/hit_uav"
checkpoint = "work_dirs/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini/epoch_20.pth"
dataset = "mmspec.HITUAVDataset"
test_split = "val"
num_classes = 4
batch_size = 4
num_workers = 1
max_iters = 1000

# ============ Sometimes changed ============
scale = (640, 512)  # (width, height): that of the images
crop_size = (320, 256)  # (width, height) in training; tests see the whole image
anchor_scale = 4  # times the stride; mmdet's 8 is for larger objects
warmup_iters = 50
val_interval = 250
lr = 1e-3  # the 1e-4 of the large configs is for 260,000 iterations
layer_decay = 1.0  # a network that starts from scratch needs the full rate in its first stages

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        arch="tiny",
        drop_path_rate=0.1,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    neck=dict(in_channels=[48, 96, 224, 224], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[anchor_scale])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256, num_classes=num_classes),
        mask_roi_extractor=None,
        mask_head=None,
    ),
    # A quarter of mmdet's, for crops of a quarter of the area.
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(sampler=dict(num=128)),
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=scale, ratio_range=(0.8, 1.25))
# Most crops of an image of small objects would be empty.
train_pipeline[3].update(crop_size=crop_size, allow_negative_crop=False)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, split=test_split, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=val_interval))
