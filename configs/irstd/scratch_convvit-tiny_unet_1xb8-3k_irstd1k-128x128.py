# The same from scratch.
_base_ = "./infmae_convvit-tiny_unet_1xb8-3k_irstd1k-128x128.py"

model = dict(backbone=dict(init_cfg=None))
