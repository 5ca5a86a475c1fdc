# What `make demo` trains: a tiny InfMAE on procedurally made thermal scenes, minutes on two cores.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Often changed ============
num_scenes = 640
batch_size = 16
max_epochs = 16

# ============ Sometimes changed ============
warmup_iters = 20
lr = 2e-3
image_size = 128  # a third of the work of 224

# ============ Rarely changed ============
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(scale=image_size, crop_ratio_range=(0.5, 1.0))
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=image_size)
test_pipeline[2].update(crop_size=image_size)
scenes = dict(_delete_=True, type="mmspec.SyntheticInfrared", size=(144, 176))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(scenes, length=num_scenes, seed=0, pipeline=train_pipeline[1:]),
)
test_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(scenes, length=64, seed=1, pipeline=test_pipeline[1:]),
)
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters, by_epoch=False, convert_to_iter_based=False)
param_scheduler[1].update(begin=0, end=max_epochs)
default_hooks = dict(checkpoint=dict(interval=max_epochs))
custom_hooks = _base_.custom_hooks
custom_hooks.append(dict(type="mmspec.ProgressBarHook"))
