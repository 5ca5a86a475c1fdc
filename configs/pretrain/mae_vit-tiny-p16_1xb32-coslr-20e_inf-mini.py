# mmpretrain's MAE with a tiny ViT (5.5 M parameters, as many as the tiny InfMAE has) on the same
# images with the same schedule, as the plain baseline beside it.
_base_ = [
    "../_base_/models/mae_vit-base.py",
    "../_base_/datasets/inf30.py",
    "../_base_/schedules/pretrain_400e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/inf_mini/images"  # any folder of infrared images
batch_size = 32
num_workers = 1  # mim and mmpretrain want at least 1
max_epochs = 20

# ============ Sometimes changed ============
warmup_epochs = 1
lr = 1e-3

# ============ Rarely changed ============
model = dict(
    backbone=dict(arch="deit-tiny"),
    neck=dict(embed_dim=192, decoder_embed_dim=128, decoder_depth=2, decoder_num_heads=4),
)
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
optim_wrapper = dict(type="mmspec.Bfloat16OptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=batch_size)
default_hooks = dict(logger=dict(interval=20))
# mmpretrain's MAE does not predict.
test_dataloader = None
test_evaluator = None
test_cfg = None
