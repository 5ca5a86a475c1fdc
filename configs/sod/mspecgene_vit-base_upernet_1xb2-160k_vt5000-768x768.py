# M-SpecGene's encoder over both modalities with UperNet for salient objects (arXiv 2507.16318):
# trained on VT5000, tested on VT5000, VT1000, VT821 and VI-RGBT1500, each scored on its own.
_base_ = [
    "../_base_/models/saliency_rgbt-vit-base.py",
    "../_base_/datasets/vt5000.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/sod.py",
]

# ============ Often changed ============
data_root = "data"  # with the folders VT5000, VT1000, VT821 and VI-RGBT1500
checkpoint = "work_dirs/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k/epoch_100.pth"
modality = "both"  # "infrared" or "visible": see README.md
batch_size = 2
num_workers = 4
max_iters = 160000

# ============ Sometimes changed ============
warmup_iters = 1500
val_interval = 16000
lr = 1e-4
layer_decay = 0.65
drop_path_rate = 0.1

# ============ Rarely changed ============
# Deviations from the release:
# * one channel with binary cross-entropy and IoU; it has two with cross-entropy alone, which is
#   mspecgene_vit-base_upernet_cross-entropy_1xb2-160k_vt5000-768x768.py.
# * probabilities are scored; it scored hard masks.
# * float32, as its configuration called "amp" trained in effect; `tools/train.py --amp` is fp16.
# * each modality has photometric augmentation of its own kind; it drew one colour jitter for both.
# * VT5000 has no part for validation: its test part is watched, and chooses nothing; the last
#   checkpoint counts.
# Not in the release's facts: the scale before the crop and drop path, both as in mmseg's MAE
# configs. Ours: padding left out of the loss; seed 0.

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        backbone=dict(
            drop_path_rate=drop_path_rate,
            init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
        )
    )
)
vt5000 = dict(type="mmspec.VT5000Dataset", data_root=f"{data_root}/VT5000")
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(**vt5000, split="Train", modality=modality),
)
val_dataloader = dict(
    num_workers=num_workers, dataset=dict(**vt5000, split="Test", modality=modality)
)
tested = dict(modality=modality, pipeline=_base_.test_pipeline, test_mode=True)
test_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[
            dict(**vt5000, split="Test", **tested),
            dict(type="mmspec.VT1000Dataset", data_root=f"{data_root}/VT1000", **tested),
            dict(type="mmspec.VT821Dataset", data_root=f"{data_root}/VT821", **tested),
            dict(type="mmspec.VIRGBT1500Dataset", data_root=f"{data_root}/VI-RGBT1500", **tested),
        ],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval))
