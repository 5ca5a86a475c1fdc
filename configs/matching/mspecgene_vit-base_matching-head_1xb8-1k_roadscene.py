# A matching head on a frozen M-SpecGene ViT-B, on 117 training pairs of RoadScene.
_base_ = [
    "../_base_/models/pair-matcher_vit-base.py",
    "../_base_/datasets/roadscene.py",
    "../_base_/schedules/matching_1k.py",
    "../_base_/runtimes/matching.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/roadscene"
checkpoint = "work_dirs/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k/epoch_100.pth"
batch_size = 8
max_iters = 1000

# ============ Sometimes changed ============
lr = 3e-3

# ============ Rarely changed ============
model = dict(backbone=dict(init_cfg=dict(checkpoint=checkpoint)))
train_dataloader = dict(batch_size=batch_size, dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
