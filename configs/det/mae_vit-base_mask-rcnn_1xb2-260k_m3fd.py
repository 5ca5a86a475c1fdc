# Plain ViT-B pre-trained by MAE, with Mask R-CNN on M3FD, infrared alone: table 2 of the paper
# (arXiv 2402.00407). The ViTDet way (arXiv 2203.16527): windows of 14 patches with four global
# blocks, relative positions, and a simple pyramid from the one map at 1/16.
_base_ = "./infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"

# ============ Often changed ============
# The published facebookresearch/mae weights are read too.
checkpoint = "work_dirs/mae_vit-base-p16_4xb64-amp-coslr-400e_inf30/epoch_400.pth"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.ViTSAM",
        arch="base",  # global blocks 2, 5, 8, 11
        img_size=1024,  # of the tables of positions; images may be of any size
        window_size=14,
        use_rel_pos=True,
        out_channels=0,
        drop_path_rate=_base_.drop_path_rate,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    neck=dict(_delete_=True, type="mmspec.SimpleFPN", in_channels=768),
)
