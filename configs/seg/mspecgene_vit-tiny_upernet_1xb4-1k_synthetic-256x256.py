# A tiny M-SpecGene encoder over both modalities with a narrow UperNet on rendered pairs of images,
# for one CPU.
_base_ = [
    "../_base_/models/upernet_rgbt-vit-base.py",
    "../_base_/datasets/semanticrt.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/seg.py",
]

# ============ Often changed ============
checkpoint = "work_dirs/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene/epoch_40.pth"
modality = "both"  # "infrared" or "visible": see README.md
batch_size = 4
num_workers = 1
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (256, 256)  # that of the scenes
warmup_iters = 50
val_interval = 250
lr = 1e-3  # the 1e-4 of the large configs is for 320,000 iterations
layer_decay = 0.65

# ============ Rarely changed ============
norm_cfg = dict(type="BN")

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        backbone=dict(
            arch=dict(
                _delete_=True, embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768
            ),
            out_indices=(1, 2, 3, 5),
            init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
        )
    ),
    neck=dict(embed_dim=2 * 192, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[2 * 192] * 4, channels=64, num_classes=8, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_channels=2 * 192, channels=32, num_classes=8, norm_cfg=norm_cfg),
    test_cfg=dict(_delete_=True, mode="whole"),
)
# A rendered scene comes with its image and labels.
train_pipeline = [
    dict(type="RandomResize", scale=crop_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="mmspec.SegmentationCrop", crop_size=crop_size, cat_max_ratio=0.75),
    *_base_.train_pipeline[4:],
]
scenes = dict(_delete_=True, type="mmspec.SyntheticInfrared", size=crop_size, modality=modality)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(**scenes, length=400, seed=0, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=num_workers,
    dataset=dict(**scenes, length=100, seed=1, test_mode=True, pipeline=[_base_.pack]),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=val_interval))
