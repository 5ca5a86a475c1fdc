# The encoder of InfMAE with random weights under Cascade R-CNN on M3FD, infrared alone: "Scratch"
# in table 2 of the paper (arXiv 2402.00407).
_base_ = "./infmae_convvit-base_cascade-rcnn_1xb2-260k_m3fd.py"

model = dict(backbone=dict(init_cfg=None))
