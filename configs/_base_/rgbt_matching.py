# A head for matching infrared to visible images on a frozen encoder: data, head and schedule.
# Pairs are aligned; a random homography views the infrared image, and is the truth.
_base_ = "./runtime.py"

model = dict(
    type="mmspec.PairMatcher",
    # As in pre-training: the mean and std of ImageNet for both modalities.
    data_preprocessor=dict(
        type="mmspec.RGBTDataPreprocessor",
        mean_infrared=[123.675, 116.28, 103.53],
        std_infrared=[58.395, 57.12, 57.375],
        mean_visible=[123.675, 116.28, 103.53],
        std_visible=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type="mmspec.MaskedViT",
        arch="base",
        img_size=224,  # of the positions, interpolated to the image
        out_indices=(3, 7, 11),
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=None),
    ),
    head=dict(
        type="mmspec.MatchingHead",
        in_channels=[768] * 3,
        channels=64,
        num_points=512,
        loss=dict(type="mmspec.DualSoftmaxLoss", temperature=0.1, radius=4.0),
    ),
)

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
        type="mmspec.TransformPair",
        both=[
            dict(
                type="RandomResizedCrop",
                scale=part_size,
                crop_ratio_range=(0.5, 1.0),
                aspect_ratio_range=(1.2, 2.0),
                interpolation="area",
            ),
            dict(type="RandomFlip", prob=0.5),
        ],
    ),
    # Each modality in its own way: a head would otherwise learn its few pairs by heart.
    dict(type="mmspec.RGBTPhotometric"),
    dict(type="mmspec.CropViews", size=view_size),
    pack,
]
test_pipeline = [
    load,
    dict(type="mmspec.TransformPair", both=[dict(type="mmspec.ScaleToWidth", width=width)]),
    # The views of tools/analysis_tools/matching.py.
    dict(type="mmspec.ViewInfrared", seed=0),
    pack,
]
# Under other numbers these are 19, 35 and 85 of the registration set, which is a test set.
in_registration = ("FLIR_00993", "FLIR_04229", "FLIR_05872")
pairs = dict(type="mmspec.RoadSceneMatchingDataset", data_root="data/RoadScene")
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
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=3e-3, betas=(0.9, 0.999), weight_decay=0.01),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1000)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=20, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=20, end=1000, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=8)

default_hooks = dict(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=2),
    visualization=dict(type="mmspec.MatchingPictureHook", num_images=8),
)
log_processor = dict(by_epoch=False)
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
