# A tiny InfMAE encoder with a narrow UperNet on udder_seg (buffalo udders, 2 classes), for one CPU.
_base_ = [
    "../_base_/models/upernet_convvit-base.py",
    "../_base_/datasets/msrs.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/seg.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/udder_seg"
checkpoint = "work_dirs/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini/epoch_20.pth"
dataset = "mmspec.UdderDataset"
num_classes = 2
batch_size = 4
num_workers = 1
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (240, 320)  # the images are 480x640
warmup_iters = 50
val_interval = 250
lr = 1e-3  # the paper's 1e-4 is for 240,000 iterations

# ============ Rarely changed ============
norm_cfg = dict(type="BN")
# An udder fills 4 % of an image. With equal weights its probability ranks its pixels well but stays
# below one half for hundreds of iterations, and nothing is predicted. (mmseg's DiceLoss sums over
# the classes first, so the background outweighs it there too.) Not mmseg's CrossEntropyLoss: that
# of 1.2.2 fails where class weights meet ignored pixels.
weighted = dict(_delete_=True, type="mmspec.WeightedCrossEntropyLoss", class_weight=[1.0, 6.0])
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        arch="tiny",
        drop_path_rate=0.1,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    decode_head=dict(
        in_channels=[48, 96, 224, 224],
        channels=64,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        loss_decode=dict(weighted, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        in_channels=224,
        channels=32,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        loss_decode=dict(weighted, loss_weight=0.4),
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=crop_size[::-1])
# Of two classes, one of them small, cat_max_ratio draws in vain.
train_pipeline[3].update(crop_size=crop_size, cat_max_ratio=1.0)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=crop_size[::-1])
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=val_interval))
