# Table 7 of the paper: 1600 epochs (the default config: 400).
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
max_epochs = 1600

# ============ Rarely changed ============
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
