# Table 8 of the paper: Inf50, all 500 K collected images (the default config: Inf30, 305,241).
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
data_root = "data/inf50"

# ============ Rarely changed ============
train_dataloader = dict(dataset=dict(data_root=data_root))
