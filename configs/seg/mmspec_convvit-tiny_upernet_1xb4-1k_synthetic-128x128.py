# The tiny encoder that mmspec ships with a narrow UperNet on rendered scenes, for one CPU.
_base_ = "./infmae_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"

# ============ Often changed ============
checkpoint = "tiny"
num_scenes = 400

# ============ Sometimes changed ============
crop_size = (128, 128)  # that of the scenes
num_classes = 8

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(init_cfg=dict(checkpoint=checkpoint)),
    decode_head=dict(num_classes=num_classes),
    auxiliary_head=dict(num_classes=num_classes),
)
# A rendered scene comes with its image and labels.
train_pipeline = [
    dict(type="RandomResize", scale=crop_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="mmspec.SegmentationCrop", crop_size=crop_size, cat_max_ratio=0.75),
    *_base_.train_pipeline[4:],
]
scenes = dict(_delete_=True, type="mmspec.SyntheticInfrared", size=crop_size)
train_dataloader = dict(
    dataset=dict(**scenes, length=num_scenes, seed=0, pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(**scenes, length=100, seed=1, test_mode=True, pipeline=[_base_.test_pipeline[-1]])
)
test_dataloader = val_dataloader
