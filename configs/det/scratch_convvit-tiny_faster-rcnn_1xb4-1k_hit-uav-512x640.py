# The same from random weights.
_base_ = "./infmae_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py"

model = dict(backbone=dict(init_cfg=None))
