# InfMAE encoder with a light U-Net decoder on SIRST-v2, 768 images against 256
# of 96 to 1,918 pixels, tested at native size.
_base_ = "./infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"

# ============ Often changed ============
data_root = "data/SIRST-v2"
dataset = "mmspec.SIRSTv2Dataset"

# ============ Sometimes changed ============
crop_size = (256, 256)

# ============ Rarely changed ============
model = dict(data_preprocessor=dict(size=crop_size))
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(crop_size=crop_size)
train_dataloader = dict(
    dataset=dict(type=dataset, data_root=data_root, split="trainval", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
test_dataloader = val_dataloader
