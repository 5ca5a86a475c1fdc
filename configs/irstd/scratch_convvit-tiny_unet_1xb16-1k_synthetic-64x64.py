# A tiny encoder with a light U-Net decoder, from scratch on rendered scenes with one to four
# targets of 1 to about 9 pixels in each: nothing to download, for one CPU.
_base_ = "./scratch_convvit-tiny_unet_1xb8-1k_sirstv2-128x128.py"

# Frequently modified
num_train, num_test = 800, 200
scene_size = (128, 128)
crop_size = (64, 64)
batch_size = 16

# Scenes come as gray levels of one channel, with their labels.
model = dict(
    data_preprocessor=dict(mean=[108.375], std=[51.0], size=crop_size),
    backbone=dict(in_channels=1, drop_path_rate=0.0),
)
train_pipeline = [
    dict(type="mmspec.TargetCrop", crop_size=crop_size),
    dict(type="RandomFlip", prob=[0.25, 0.25], direction=["horizontal", "vertical"]),
    dict(type="PackSegInputs"),
]
test_pipeline = [dict(type="PackSegInputs")]
scenes = dict(_delete_=True, type="mmspec.SyntheticInfrared", size=scene_size, labels="points")
train_dataloader = dict(
    batch_size=batch_size,
    dataset={**scenes, "length": num_train, "seed": 0, "pipeline": train_pipeline},
)
val_dataloader = dict(
    dataset={**scenes, "length": num_test, "seed": 1, "pipeline": test_pipeline, "test_mode": True}
)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=batch_size)
