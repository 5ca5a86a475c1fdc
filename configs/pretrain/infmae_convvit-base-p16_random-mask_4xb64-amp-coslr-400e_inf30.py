# Table 4 of the paper, third row: the multi-scale encoder without information-aware masking.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
mask_ratio = 0.75

# ============ Rarely changed ============
train_pipeline = _base_.train_pipeline
train_pipeline[3] = dict(type="mmspec.RandomPatchMask", mask_ratio=mask_ratio)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = _base_.test_pipeline
test_pipeline[3] = dict(type="mmspec.RandomPatchMask", mask_ratio=mask_ratio)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
