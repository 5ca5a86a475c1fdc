# Table 6 of the paper: every 7th rank visible, 28 of 196 patches (the default config: every 4th).
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
stride = 7

# ============ Rarely changed ============
model = dict(masker=dict(stride=stride))
