# A tiny InfMAE encoder with a narrow UperNet on eye_seg (near infrared, 3 classes), for one CPU.
_base_ = "./infmae_convvit-tiny_upernet_1xb4-1k_udder-240x320.py"

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/eye_seg"
dataset = "mmspec.EyeDataset"
num_classes = 3

# ============ Sometimes changed ============
crop_size = (200, 200)

# ============ Rarely changed ============
unweighted = dict(_delete_=True, type="CrossEntropyLoss", avg_non_ignore=True)
model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(num_classes=num_classes, loss_decode=dict(unweighted, loss_weight=1.0)),
    auxiliary_head=dict(num_classes=num_classes, loss_decode=dict(unweighted, loss_weight=0.4)),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=crop_size[::-1])
train_pipeline[3].update(crop_size=crop_size)
test_pipeline = _base_.test_pipeline
test_pipeline[1].update(scale=crop_size[::-1])
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
