# A matching head on a tiny, frozen M-SpecGene encoder, on 117 training pairs of RoadScene, for
# one CPU.
_base_ = [
    "../_base_/models/pair-matcher_vit-base.py",
    "../_base_/datasets/roadscene.py",
    "../_base_/schedules/matching_1k.py",
    "../_base_/runtimes/matching.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/roadscene"
checkpoint = "work_dirs/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene/epoch_40.pth"
batch_size = 8
num_workers = 1
max_iters = 1000

# ============ Sometimes changed ============
lr = 3e-3

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768
        ),
        out_indices=(1, 3, 5),
        init_cfg=dict(checkpoint=checkpoint),
    ),
    head=dict(in_channels=[192] * 3),
)
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
test_dataloader = dict(num_workers=num_workers, dataset=dict(data_root=data_root))
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
