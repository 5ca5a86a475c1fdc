# Table 4 of the paper, second row: information-aware masking without the multi-scale encoder.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

model = dict(
    backbone=dict(_delete_=True, type="mmspec.MaskedViT", arch="base", img_size=224, patch_size=16)
)
