# A short infrared stage from weights of visible images: 50 epochs of information-aware masking on
# infrared images from the ViT that MAE's authors pre-trained on ImageNet (arXiv 2111.06377).
_base_ = "./infmae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
checkpoint = "mae_pretrain_vit_base.pth"  # any layout that mmspec reads
max_epochs = 50

# ============ Sometimes changed ============
warmup_epochs = 5  # the decoder is new
lr = 1.5e-4  # of 256 images a step

# ============ Rarely changed ============
model = dict(
    backbone=dict(init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)),
)
optim_wrapper = dict(optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
