# A tiny M-SpecGene on the 120 training pairs of RoadScene, for one CPU or a small GPU.
_base_ = [
    "../_base_/models/mspecgene_vit-base.py",
    "../_base_/datasets/rgbt550k.py",
    "../_base_/schedules/mspecgene_100e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/roadscene"
infrared, visible = "cropinfrared", "crop_LR_visible"
batch_size = 20
num_workers = 1  # mim and mmpretrain want at least 1
max_epochs = 40

# ============ Sometimes changed ============
warmup_epochs = 2
lr = 1e-3  # 20 pairs a step and 240 steps; the paper's rule would give 1.2e-5

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768
        ),
    ),
    neck=dict(in_dims=192, dims=128, depth=2, num_heads=4),
)
pairs = dict(data_root=data_root, infrared=infrared, visible=visible)
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(**pairs, ann_file="train.txt")
)
test_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(**pairs, ann_file="test.txt")
)
optim_wrapper = dict(optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=20)
default_hooks = dict(logger=dict(interval=6), checkpoint=dict(interval=10))
