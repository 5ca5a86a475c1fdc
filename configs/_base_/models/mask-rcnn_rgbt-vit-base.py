# Mask R-CNN over infrared and visible images, in the ViTDet way (arXiv 2203.16527): M-SpecGene's
# detection (arXiv 2507.16318). One encoder for both modalities, whose maps at 1/16 are concatenated
# before a simple pyramid. The size of the images is the config's.
_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"

norm_cfg = dict(type="mmpretrain.LN2d", eps=1e-6)
# Regions to ignore, as KAIST's people and cyclists, are neither object nor background.
assigner = dict(type="mmspec.IgnoringAssigner", ignore_iof_thr=0.5)
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type="mmspec.RGBTDetDataPreprocessor",
        # As in pre-training: the mean and std of ImageNet for both modalities.
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
        pad_mask=True,
    ),
    backbone=dict(
        _delete_=True,
        type="mmspec.RGBTBackbone",
        fusion="concat",
        backbone=dict(
            type="mmpretrain.ViTSAM",
            arch="base",  # global blocks 2, 5, 8, 11
            window_size=14,
            use_rel_pos=True,
            out_channels=0,
            drop_path_rate=0.1,
        ),
    ),
    neck=dict(_delete_=True, type="mmspec.SimpleFPN", in_channels=2 * 768),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type="Shared4Conv1FCBBoxHead", conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
    train_cfg=dict(rpn=dict(assigner=assigner), rcnn=dict(assigner=assigner)),
)
