# The tiny M-SpecGene over InfMAE's encoder.
_base_ = "./mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"

model = dict(
    backbone=dict(_delete_=True, type="mmspec.ConvViT", arch="tiny", pretraining=True),
    neck=dict(in_dims=224),
)
