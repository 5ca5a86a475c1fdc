# The short infrared stage with a frozen encoder: adapters beside every MLP learn, and the decoder
# (after PAD, arXiv 2312.08192, which has a ViT and random masks).
_base_ = "./infmae_convvit-base-p16_from-convmae_4xb64-amp-coslr-50e_inf30.py"

# ============ Sometimes changed ============
adapter_dims = 64  # width

# ============ Rarely changed ============
model = dict(backbone=dict(adapter_dims=adapter_dims, frozen_stages=3))
