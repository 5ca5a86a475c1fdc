# Table 5 of the paper: 8 decoder blocks (the default config has 2).
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
decoder_depth = 8

# ============ Rarely changed ============
model = dict(neck=dict(depth=decoder_depth))
