# RoadScene for matching: pairs are aligned; a random homography views the infrared image, and is
# the truth.
_base_ = "../infrared_scale.py"

width = 256  # of tested images; metrics are in pixels of this size
# Height and width: of a part of the image, at about the scale of tested images, and of the two
# views in it, each at a place of its own.
part_size = (192, 256)
view_size = (128, 176)
load = dict(type="mmspec.LoadRGBTImageFromFile")
pack = dict(
    type="PackInputs",
    algorithm_keys=("truth",),
    meta_keys=("sample_idx", "img_path", "ori_shape", "img_shape", "flip", "channels"),
)
train_pipeline = [
    load,
    dict(
        type="RandomResizedCrop",
        scale=part_size,
        crop_ratio_range=(0.5, 1.0),
        aspect_ratio_range=(1.2, 2.0),
        interpolation="area",
    ),
    dict(type="RandomFlip", prob=0.5),
    # Each modality in its own way: a head would otherwise learn its few pairs by heart.
    dict(type="mmspec.RGBTPhotometric"),
    dict(type="mmspec.CropViews", size=view_size),
    pack,
]
test_pipeline = [
    load,
    dict(type="mmspec.ScaleToWidth", width=width),
    # The views of tools/analysis_tools/matching.py.
    dict(type="mmspec.ViewInfrared", seed=0),
    pack,
]
# Under other numbers these are 19, 35 and 85 of the registration set, which is a test set.
in_registration = ("FLIR_00993", "FLIR_04229", "FLIR_05872")
pairs = dict(
    type="mmspec.RoadSceneMatchingDataset",
    data_root="data/RoadScene",
    infrared_scale=_base_.infrared_scale,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(**pairs, ann_file="train.txt", exclude=in_registration, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=1,  # sizes differ
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(**pairs, ann_file="test.txt", pipeline=test_pipeline, test_mode=True),
)
test_evaluator = dict(type="mmspec.MatchingMetric")
