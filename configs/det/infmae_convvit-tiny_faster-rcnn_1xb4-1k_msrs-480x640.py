# A tiny InfMAE encoder with a narrow Faster R-CNN (Mask R-CNN without its mask branch) on the
# infrared images of MSRS and their boxes, for one CPU.
_base_ = "./infmae_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py"

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/msrs_det"
dataset = "mmspec.MSRSDetDataset"
num_classes = 3

# ============ Sometimes changed ============
scale = (640, 480)  # (width, height): that of the images
crop_size = (320, 240)  # (width, height) in training; tests see the whole image

# ============ Rarely changed ============
model = dict(roi_head=dict(bbox_head=dict(num_classes=num_classes)))
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=scale)
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type=dataset, data_root=data_root, split="test", pipeline=test_pipeline)
)
test_dataloader = val_dataloader
