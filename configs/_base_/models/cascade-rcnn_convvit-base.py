# mmdet's Cascade R-CNN with FPN on the four maps of a base encoder; regions to ignore are neither
# object nor background.
_base_ = "mmdet::_base_/models/cascade-rcnn_r50_fpn.py"

assigner = dict(type="mmspec.IgnoringAssigner", ignore_iof_thr=0.5)
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type="DetDataPreprocessor",
        # As in pre-training: mean 0.425 and std 0.200 of [0, 1], on three equal channels.
        mean=[108.375, 108.375, 108.375],
        std=[51.0, 51.0, 51.0],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(_delete_=True, type="mmspec.ConvViT", arch="base", drop_path_rate=0.1),
    neck=dict(in_channels=[256, 384, 768, 768]),
    roi_head=dict(
        bbox_head=[{**head, "num_classes": 6} for head in _base_.model.roi_head.bbox_head]
    ),
    train_cfg=dict(
        rpn=dict(assigner=assigner),
        rcnn=[
            {**stage, "assigner": {**stage["assigner"], **assigner}}
            for stage in _base_.model.train_cfg.rcnn
        ],
    ),
)
