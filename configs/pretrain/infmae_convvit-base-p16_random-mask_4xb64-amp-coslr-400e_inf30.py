# Table 4 of the paper, third row: the multi-scale encoder without information-aware masking.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
mask_ratio = 0.75

# ============ Rarely changed ============
model = dict(masker=dict(_delete_=True, type="mmspec.RandomMasker", mask_ratio=mask_ratio))
