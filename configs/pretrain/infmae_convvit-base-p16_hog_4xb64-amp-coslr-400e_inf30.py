# InfMAE that predicts histograms of oriented gradients (MaskFeat, arXiv 2112.09133) in place of
# pixels. Not the paper's.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

targets = dict(type="mmspec.HOGTarget")
model = dict(head=dict(targets=targets), neck=dict(out_dims=108))
