# The tiny InfMAE with complementary masks: ranks k::4 of k = 0, 1, 2, 3, four masks of each image
# without a patch in common, in one step.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Often changed ============
batch_size = 8  # images: with four masks each as many as 32 of the config without
max_epochs = 5  # as many masked views, and steps, as 20 of the config without

# ============ Sometimes changed ============
warmup_epochs = 0.25
stride = 4  # masks of an image

# ============ Rarely changed ============
model = dict(masker=dict(stride=stride, ranks="all"))
train_dataloader = dict(batch_size=batch_size)
test_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=batch_size)
