# M-SpecGene's encoder over both modalities with Mask R-CNN on FLIR aligned (arXiv 2507.16318).
_base_ = [
    "../_base_/models/mask-rcnn_rgbt-vit-base.py",
    "../_base_/datasets/flir.py",
    "../_base_/schedules/vitdet_120k.py",
    "../_base_/runtimes/det.py",
]

# ============ Often changed ============
data_root = "data/FLIR_aligned"
checkpoint = "work_dirs/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k/epoch_100.pth"
dataset = "mmspec.FLIRDataset"
test_split = "val"  # FLIR aligned has no other; it chooses nothing, the last checkpoint counts
modality = "both"  # "infrared" or "visible": see README.md
num_classes = 3
batch_size = 2
num_workers = 4
max_iters = 120000

# ============ Sometimes changed ============
warmup_iters = 250
val_interval = 12000
lr = 1e-4
weight_decay = 0.1
layer_decay = 0.7
drop_path_rate = 0.1

# ============ Rarely changed ============
# Deviations from the release:
# * float32; it trained in fp16. `tools/train.py --amp` does so.
# * each modality has photometric augmentation of its own kind.
# Not in the release's facts, from ViTDet: warm-up and steps of the learning rate, LN in the mask
# head. Ours: gradients clipped at 1; seed 0.

size = _base_.scale[0]
model = dict(
    data_preprocessor=dict(pad_size_divisor=size),  # every image becomes a square of it
    backbone=dict(
        backbone=dict(
            img_size=size,  # of the tables of positions; images may be of any size
            drop_path_rate=drop_path_rate,
            init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
        )
    ),
    roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes)),
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, modality=modality),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, split=test_split, modality=modality),
)
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(lr=lr, weight_decay=weight_decay),
    paramwise_cfg=dict(layer_decay_rate=layer_decay),
)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(
    milestones=[round(max_iters * 8 / 9), round(max_iters * 26 / 27)], end=max_iters
)
default_hooks = dict(checkpoint=dict(interval=val_interval))
