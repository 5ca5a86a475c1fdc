# InfMAE with masks of filtered noise that no image moves: visible patches lie in lumps (ColorMAE,
# arXiv 2407.13036; the widths of the filter are mmspec's). Not the paper's, which ranks patches.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Sometimes changed ============
score, ranks = "green", "top"

# ============ Rarely changed ============
model = dict(masker=dict(score=score, ranks=ranks))
