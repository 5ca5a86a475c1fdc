# MCMAE (ConvMAE, NeurIPS 2022, arXiv 2205.03892) on the same data: the network of InfMAE with a
# random mask and the 8-block decoder of MAE. A row of tables 1 to 3 of the InfMAE paper.
_base_ = "./infmae_convvit-base-p16_random-mask_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
decoder_depth = 8
norm_pix = True  # as the MCMAE authors train; InfMAE compares raw pixels

# ============ Rarely changed ============
model = dict(neck=dict(depth=decoder_depth), head=dict(norm_pix=norm_pix))
