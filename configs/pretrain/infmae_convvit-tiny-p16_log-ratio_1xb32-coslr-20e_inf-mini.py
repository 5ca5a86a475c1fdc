# The tiny InfMAE that predicts logarithms of ratios of neighbouring means (SARATR-X, arXiv
# 2405.09365) in place of pixels: a gain of the camera cancels. Not the paper's.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

targets = dict(type="mmspec.LogRatioTarget")
model = dict(head=dict(targets=targets), neck=dict(out_dims=96))
