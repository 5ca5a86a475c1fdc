# M-SpecGene's encoder over both modalities with UperNet on SemanticRT (arXiv 2507.16318).
_base_ = [
    "../_base_/models/upernet_rgbt-vit-base.py",
    "../_base_/datasets/semanticrt.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/seg.py",
]

# ============ Often changed ============
data_root = "data/SemanticRT"
checkpoint = "work_dirs/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k/epoch_100.pth"
dataset = "mmspec.SemanticRTDataset"
val_split = "val"
test_split = "test"
modality = "both"  # "infrared" or "visible": see README.md
num_classes = 13
batch_size = 2
num_workers = 4
max_iters = 320000

# ============ Sometimes changed ============
warmup_iters = 1500
val_interval = 32000
lr = 1e-4
layer_decay = 0.65
drop_path_rate = 0.1

# ============ Rarely changed ============
# Deviations from the release:
# * float32, as its configuration called "amp" trained in effect; `tools/train.py --amp` is fp16.
# * each modality has photometric augmentation of its own kind; it drew one colour jitter for both.
# * validation is on the part of that name, where a data set has one; the last checkpoint counts.
# Not in the release's facts: the scale before the crop and drop path, both as in mmseg's MAE
# configs. Ours: padding left out of the loss; seed 0.

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        backbone=dict(
            drop_path_rate=drop_path_rate,
            init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
        )
    ),
    decode_head=dict(num_classes=num_classes),
    auxiliary_head=dict(num_classes=num_classes),
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, modality=modality),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, split=val_split, modality=modality),
)
test_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(type=dataset, data_root=data_root, split=test_split, modality=modality),
)
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
