# The tiny InfMAE that predicts normalised pixels and histograms of oriented gradients, the sum of
# both errors. Not the paper's.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Rarely changed ============
targets = [dict(type="mmspec.PixelTarget", norm_pix=True), dict(type="mmspec.HOGTarget")]
model = dict(head=dict(targets=targets), neck=dict(out_dims=768 + 108))
