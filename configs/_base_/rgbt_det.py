# Mask R-CNN over infrared and visible images, in the ViTDet way (arXiv 2203.16527): M-SpecGene's
# detection (arXiv 2507.16318). One encoder for both modalities, whose maps at 1/16 are concatenated
# before a simple pyramid.
_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "./det_finetune.py"]

scale = (960, 960)  # (width, height) of crops, and the bounds of test images
norm_cfg = dict(type="mmpretrain.LN2d", eps=1e-6)
# Regions to ignore, as KAIST's people and cyclists, are neither object nor background.
assigner = dict(type="mmspec.IgnoringAssigner", ignore_iof_thr=0.5)
data_preprocessor = dict(
    _delete_=True,
    type="mmspec.RGBTDetDataPreprocessor",
    # As in pre-training: the mean and std of ImageNet for both modalities.
    mean_infrared=[123.675, 116.28, 103.53],
    std_infrared=[58.395, 57.12, 57.375],
    mean_visible=[123.675, 116.28, 103.53],
    std_visible=[58.395, 57.12, 57.375],
    pad_size_divisor=scale[0],  # every image becomes 960 x 960
    pad_mask=True,
)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        _delete_=True,
        type="mmspec.RGBTBackbone",
        fusion="concat",
        backbone=dict(
            type="mmpretrain.ViTSAM",
            arch="base",  # global blocks 2, 5, 8, 11
            img_size=scale[0],  # of the tables of positions; images may be of any size
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

# `modality` of a data set decides what is loaded: a pair, or one image of it.
load = dict(type="mmspec.LoadRGBTImageFromFile")
train_pipeline = [
    load,
    # The data sets have boxes and no masks: the mask branch learns the whole box, as it did for the
    # published numbers.
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True, poly2mask=False),
    dict(type="RandomFlip", prob=0.5),
    # Large-scale jitter.
    dict(type="RandomResize", scale=scale, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute",
        crop_size=scale,  # (width, height)
        bbox_clip_border=False,
        allow_negative_crop=True,
    ),
    dict(type="mmspec.ClipBoxes"),  # slivers of objects are no objects
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="mmspec.RGBTPhotometric"),
    # Before the packing, each by choice:
    # dict(type="mmspec.MisalignPair", max_shift=4),
    # dict(type="mmspec.DropModality", prob=0.2),  # either image alone then serves in tests
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "channels"),
    ),
]
test_pipeline = [
    load,
    dict(type="Resize", scale=scale, keep_ratio=True),
    dict(
        type="PackDetInputs",
        # DetectionMetric and the pictures take the truth from "instances".
        meta_keys=(
            "img_id",
            "img_path",
            "ori_shape",
            "img_shape",
            "scale_factor",
            "channels",
            "instances",
        ),
    ),
]
train_dataloader = dict(
    dataset=dict(
        type="mmspec.FLIRDataset", modality="both", box_masks=True, pipeline=train_pipeline
    )
)
val_dataloader = dict(
    dataset=dict(type="mmspec.FLIRDataset", modality="both", pipeline=test_pipeline)
)
test_dataloader = val_dataloader

optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.1), paramwise_cfg=dict(layer_decay_rate=0.7)
)
train_cfg = dict(max_iters=120000, val_interval=12000)
# ViTDet's: 250 iterations of warm-up, a tenth after 8/9 and 26/27 of the schedule.
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=250, by_epoch=False),
    dict(
        type="MultiStepLR",
        milestones=[106667, 115556],
        gamma=0.1,
        begin=0,
        end=120000,
        by_epoch=False,
    ),
]
default_hooks = dict(checkpoint=dict(interval=12000))
