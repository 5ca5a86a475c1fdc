# mmdet's Mask R-CNN with FPN on the four maps of a base encoder; regions to ignore are neither
# object nor background.
_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "./det_finetune.py"]

assigner = dict(type="mmspec.IgnoringAssigner", ignore_iof_thr=0.5)
model = dict(
    data_preprocessor=dict(_delete_=True, pad_mask=True, **_base_.data_preprocessor),
    backbone=dict(_delete_=True, type="mmspec.ConvViT", arch="base", drop_path_rate=0.1),
    neck=dict(in_channels=[256, 384, 768, 768]),
    roi_head=dict(bbox_head=dict(num_classes=6), mask_head=dict(num_classes=6)),
    train_cfg=dict(rpn=dict(assigner=assigner), rcnn=dict(assigner=assigner)),
)
# The data sets have boxes and no masks: the mask branch learns the whole box, as it did for the
# published numbers. `mask_head=None, mask_roi_extractor=None` in roi_head leaves it out.
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(with_mask=True, poly2mask=False)
train_dataloader = dict(dataset=dict(box_masks=True, pipeline=train_pipeline))
