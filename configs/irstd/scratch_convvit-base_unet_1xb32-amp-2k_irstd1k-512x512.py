# The same from scratch, which needs nothing but the data.
_base_ = "./infmae_convvit-base_unet_1xb32-amp-2k_irstd1k-512x512.py"

model = dict(backbone=dict(init_cfg=None))
