# The tiny InfMAE that predicts histograms of oriented gradients (MaskFeat, arXiv 2112.09133) in
# place of pixels. Not the paper's.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

targets = dict(type="mmspec.HOGTarget")
model = dict(head=dict(targets=targets), neck=dict(out_dims=108))
