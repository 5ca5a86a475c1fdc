# M3FD for a detector with masks. It has boxes and no masks: the mask branch learns the whole box,
# as it did for the published numbers.
_base_ = "./m3fd.py"

train_pipeline = _base_.train_pipeline
train_pipeline[1].update(with_mask=True, poly2mask=False)
train_dataloader = dict(dataset=dict(box_masks=True, pipeline=train_pipeline))
