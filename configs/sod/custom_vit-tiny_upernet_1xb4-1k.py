# Tiny salient object detection on infrared / visible pairs of your own (docs/your_data.md), for one
# CPU.
_base_ = [
    "../_base_/models/saliency_rgbt-vit-base.py",
    "../_base_/datasets/vt5000.py",
    "../_base_/schedules/seg_240k.py",
    "../_base_/runtimes/sod.py",
]

# ============ Often changed ============
data_root = "data/mine"  # {train,val}/T/NAME.*, {train,val}/RGB/NAME.*, {train,val}/GT/NAME.*
modality = "both"  # "infrared" or "visible": one of the two images alone
checkpoint = None  # an encoder to start from: a ViT of six layers and 192 channels; None: scratch
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 4
max_iters = 1000

# ============ Sometimes changed ============
crop_size = (128, 128)  # to its height the shorter side of images is scaled
warmup_iters = 50
val_interval = 250
lr = 1e-3
layer_decay = 1.0  # 0.65 with a checkpoint

# ============ Rarely changed ============
norm_cfg = dict(type="BN")
dims = 192
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        backbone=dict(
            arch=dict(
                _delete_=True,
                embed_dims=dims,
                num_layers=6,
                num_heads=3,
                feedforward_channels=4 * dims,
            ),
            out_indices=(1, 2, 3, 5),
            init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
        )
    ),
    neck=dict(embed_dim=2 * dims, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=[2 * dims] * 4, channels=64, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_channels=2 * dims, channels=32, norm_cfg=norm_cfg),
    test_cfg=dict(_delete_=True, mode="whole"),
)
scale = (4 * crop_size[1], crop_size[0])  # (longest, shorter) side: the latter counts
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
mine = dict(
    _delete_=True, type="mmspec.SaliencyDataset", modality=modality, infrared_scale=infrared_scale
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    dataset=dict(**mine, data_root=f"{data_root}/train", pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(**mine, data_root=f"{data_root}/val", pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr), paramwise_cfg=dict(layer_decay_rate=layer_decay))
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_iters)
param_scheduler[1].update(begin=warmup_iters, end=max_iters)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=val_interval, save_best="S", rule="greater"),
)
