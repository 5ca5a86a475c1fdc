# Table 1 of the paper: the same network pre-trained by MCMAE.
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
# ConvMAE's published weights are read too.
checkpoint = "work_dirs/mcmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"

# ============ Rarely changed ============
model = dict(backbone=dict(init_cfg=dict(checkpoint=checkpoint)))
