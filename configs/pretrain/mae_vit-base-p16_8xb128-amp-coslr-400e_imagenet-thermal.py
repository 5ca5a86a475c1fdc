# The first stage of M-SpecGene, which was not released: plain MAE ViT-B on 1.48 M visible and
# 0.48 M infrared images, mixed, for 400 epochs. Its checkpoint starts the second stage.
_base_ = "./mae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
visible_root = "data/imagenet/train"  # any folder of colour images
thermal_root = "data/thermal"  # any folder of infrared images
batch_size = 128  # per GPU, 8 GPUs
num_workers = 8
max_epochs = 400

# ============ Sometimes changed ============
warmup_epochs = 40
lr = 6e-4  # 1.5e-4 * images a step / 256; --auto-scale-lr adapts it to another number

# ============ Rarely changed ============
model = dict(
    # As in the second stage: the mean and std of ImageNet for either modality.
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)
augmentation = _base_.train_pipeline[1:]
infrared = dict(
    type="mmspec.InfraredFolder",
    data_root=thermal_root,
    infrared_scale=_base_.infrared_scale,
    pipeline=[dict(type="mmspec.LoadInfraredImageFromFile", color_type="color"), *augmentation],
)
visible = dict(
    type="mmspec.InfraredFolder",  # a folder of images; the loader tells how they are read
    data_root=visible_root,
    infrared_scale=_base_.infrared_scale,  # not for these: sets become one by equal settings
    pipeline=[dict(type="LoadImageFromFile"), *augmentation],
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    dataset=dict(_delete_=True, type="ConcatDataset", datasets=[visible, infrared]),
)
optim_wrapper = dict(optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=1024)
