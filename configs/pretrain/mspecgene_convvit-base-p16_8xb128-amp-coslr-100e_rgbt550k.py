# M-SpecGene's algorithm over InfMAE's encoder. CMSS then scores the normalised pixels of each patch
# with sine-cosine positions, in place of a ViT's embedded patches. Not in the paper.
_base_ = "./mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"

model = dict(
    backbone=dict(_delete_=True, type="mmspec.ConvViT", arch="base", pretraining=True),
)
