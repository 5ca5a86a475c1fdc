# DINO on a Swin-L on M3FD, infrared alone: table 2 of InfMAE (arXiv 2402.00407).
# mmdet's model, weights, augmentation and optimiser, with its learning rate for 16 images scaled to
# 2; the paper's data, batch and schedule.
# Multi-scale deformable attention runs in PyTorch where mmcv has no compiled operators.
_base_ = [
    "../_base_/datasets/m3fd.py",
    "../_base_/schedules/det_260k.py",
    "../_base_/runtimes/det.py",
]

# ============ Often changed ============
data_root = "data/M3FD"
batch_size = 2
num_workers = 4
max_iters = 260000
num_classes = 6

# ============ Sometimes changed ============
val_interval = 26000
lr = 1e-4 * batch_size / 16

# ============ Rarely changed ============
# Not among the bases: it has a data set and a schedule of its own.
theirs = __import__("mmengine.hub", fromlist=["hub"]).get_config(
    "mmdet::dino/dino-5scale_swin-l_8xb2-12e_coco.py"
)
model = theirs.model
model["bbox_head"].update(num_classes=num_classes)
train_pipeline = [_base_.train_pipeline[0], *theirs.train_pipeline[1:]]
# After the crop of one in two images: slivers of objects are no objects.
train_pipeline[3].transforms[1][1].update(bbox_clip_border=False)
train_pipeline[3].transforms[1].insert(2, dict(type="mmspec.ClipBoxes"))
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=(1333, 800))
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=num_workers, dataset=dict(data_root=data_root, pipeline=test_pipeline)
)
test_dataloader = val_dataloader
optim_wrapper = dict(_delete_=True, **theirs.optim_wrapper)
optim_wrapper["optimizer"].update(lr=lr)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
auto_scale_lr = dict(base_batch_size=batch_size)
default_hooks = dict(checkpoint=dict(interval=val_interval))
del theirs
