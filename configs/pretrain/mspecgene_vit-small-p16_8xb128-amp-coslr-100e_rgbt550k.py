# M-SpecGene, ViT-S: the second published size, with decoders of half the width.
_base_ = "./mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"

model = dict(
    backbone=dict(arch="deit-small"),  # 384 wide, 6 heads; mmpretrain's "small" is 768 wide
    neck=dict(in_dims=384, dims=256, num_heads=8),
)
