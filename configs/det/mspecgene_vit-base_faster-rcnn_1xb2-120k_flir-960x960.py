# The same without the mask branch. The lines below do the same to any of its
# siblings.
_base_ = "./mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py"

model = dict(roi_head=dict(mask_head=None, mask_roi_extractor=None))
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(with_mask=False)
train_dataloader = dict(dataset=dict(box_masks=False, pipeline=train_pipeline))
