# A short infrared stage from weights of visible images: InfMAE on infrared images, 50 epochs from
# the encoder that ConvMAE's authors pre-trained on ImageNet (arXiv 2205.03892). The network is the
# same. Not the paper's, which starts from random weights.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
checkpoint = "convmae_base.pth"  # any layout that mmspec reads
max_epochs = 50

# ============ Sometimes changed ============
warmup_epochs = 5  # the decoder is new
lr = 1.5e-4  # of 256 images a step

# ============ Rarely changed ============
# Three equal channels with mean 0.425 and std 0.200, as InfMAE; ImageNet's were 0.449 and 0.226.
model = dict(
    backbone=dict(init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)),
)
optim_wrapper = dict(optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
