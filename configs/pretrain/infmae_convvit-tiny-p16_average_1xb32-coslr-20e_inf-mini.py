# The tiny InfMAE that predicts features of a moving average of its own encoder (data2vec, arXiv
# 2202.03555) in place of pixels. Not the paper's.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Sometimes changed ============
decay = 0.998  # a step; looks back 500 of 2,600 steps

# ============ Rarely changed ============
targets = dict(type="mmspec.MovingAverageTarget", decay=decay)
model = dict(head=dict(targets=targets), neck=dict(out_dims=224))
