# UM-MAE (arXiv 2205.10063) on the same data: a row of tables 1 and 3 of the InfMAE paper.
# One patch of each 2x2 window is sampled, a quarter of these are hidden behind a mask token, and a
# pyramid transformer encodes the compact image of a quarter of the area.
#
# Deviations:
# * encoder: mmpretrain's Swin-T, which the UM-MAE authors recommend. Its positions are relative, as
#   good for the compact image as for the whole one, it knows its layers for layer decay, and its
#   SimMIM variant already takes a mask token. The InfMAE paper prints "VPT-S", that is PVT-S.
# * loss: on hidden sampled patches too, since their pixels were not seen either.
_base_ = [
    "../_base_/models/infmae_convvit-base.py",
    "../_base_/datasets/inf30.py",
    "../_base_/schedules/pretrain_400e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "data/inf30"  # any folder of infrared images
batch_size = 64  # per GPU, 4 GPUs
num_workers = 8
max_epochs = 400

# ============ Sometimes changed ============
warmup_epochs = 40
lr = 1.5e-4  # of 256 images a step; --auto-scale-lr adapts it to another number
image_size = 256  # the UM-MAE authors'; a multiple of 32
secondary_ratio = 0.25
decoder_depth = 2  # as InfMAE's
norm_pix = True  # as the UM-MAE authors train; InfMAE compares raw pixels

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmspec.MaskedSwin",
        arch="tiny",
        img_size=image_size,
        drop_path_rate=0.0,
        pretraining=True,
    ),
    masker=dict(
        _delete_=True, type="mmspec.UniformMasker", secondary_ratio=secondary_ratio
    ),
    neck=dict(in_dims=384, depth=decoder_depth, pretrain_grid=image_size // 16),
    head=dict(norm_pix=norm_pix),
)

train_pipeline = _base_.train_pipeline
train_pipeline[1].update(scale=image_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=image_size)
test_pipeline[2].update(crop_size=image_size)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(
    # bfloat16 where the GPU has it; as released, dtype="float16"; float32 on a CPU.
    type="mmspec.AmpOptimWrapper",
    optimizer=dict(lr=lr),
    paramwise_cfg=dict(
        custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0)),
    ),
)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
