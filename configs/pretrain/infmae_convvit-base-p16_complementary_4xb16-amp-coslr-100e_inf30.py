# InfMAE with complementary masks: ranks k::4 of k = 0, 1, 2, 3, four masks of each image without a
# patch in common, in one step. Not the paper's, which has k = 0 alone.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
batch_size = 16  # images per GPU, 4 GPUs: with four masks each as many as 64 of the default config
max_epochs = 100  # as many masked views, and steps, as 400 of the default config

# ============ Sometimes changed ============
warmup_epochs = 10
stride = 4  # masks of an image

# ============ Rarely changed ============
model = dict(masker=dict(stride=stride, ranks="all"))
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
# lr: 1.5e-4 of 256 masked views a step, which are 64 images.
auto_scale_lr = dict(base_batch_size=64)
