# The same from scratch.
_base_ = "./infmae_convvit-tiny_upernet_1xb4-1k_udder-240x320.py"

model = dict(backbone=dict(init_cfg=None))
