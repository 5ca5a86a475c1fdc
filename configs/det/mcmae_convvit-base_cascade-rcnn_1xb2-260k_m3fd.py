# MCMAE (random masks, the same network) with Cascade R-CNN on M3FD, infrared alone: table 2 of
# the paper (arXiv 2402.00407).
_base_ = "./infmae_convvit-base_cascade-rcnn_1xb2-260k_m3fd.py"

# ============ Often changed ============
# ConvMAE's published weights are read too.
checkpoint = "work_dirs/mcmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"

# ============ Rarely changed ============
model = dict(backbone=dict(init_cfg=dict(checkpoint=checkpoint)))
