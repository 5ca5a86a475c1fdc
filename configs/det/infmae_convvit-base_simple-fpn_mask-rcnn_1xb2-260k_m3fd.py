# InfMAE encoder with Mask R-CNN on M3FD by the other way to a pyramid, which ConvMAE's authors
# recommend: the one map at 1/16 into ViTDet's simple pyramid (arXiv 2203.16527), windows of 14
# patches, relative positions. F4's convolution is not built.
_base_ = "./infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"

model = dict(
    backbone=dict(out_indices=(2,), use_rel_pos=True),
    neck=dict(_delete_=True, type="mmspec.SimpleFPN", in_channels=768),
)
