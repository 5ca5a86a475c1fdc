# Salient object detection over infrared / visible pairs: the segmentation model of two modalities
# with one channel, what is salient, on VT5000 (M-SpecGene, arXiv 2507.16318).
_base_ = "./rgbt_seg.py"

num_classes = 2  # background and salient: one channel, a sigmoid
bce = dict(type="CrossEntropyLoss", use_sigmoid=True, avg_non_ignore=True)
one_channel = dict(num_classes=num_classes, out_channels=1, threshold=0.5)
model = dict(
    decode_head=dict(
        **one_channel,
        loss_decode=[
            dict(**bce, loss_name="loss_bce"),
            dict(type="mmspec.SoftIoULoss", loss_name="loss_iou"),
        ],
    ),
    auxiliary_head=dict(
        **one_channel,
        loss_decode=[
            dict(**bce, loss_name="loss_bce", loss_weight=0.4),
            dict(type="mmspec.SoftIoULoss", loss_name="loss_iou", loss_weight=0.4),
        ],
    ),
)

# `dataset_name` lets the metric score several data sets of one test apart.
pack = dict(type="PackSegInputs", meta_keys=(*_base_.pack["meta_keys"], "dataset_name"))
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(cat_max_ratio=1.0)  # of two classes, one of them small, it draws in vain
test_pipeline = [*_base_.test_pipeline[:-1], pack]
dataset = dict(type="mmspec.VT5000Dataset", data_root="data/VT5000")
train_dataloader = dict(dataset=dict(**dataset, split="Train", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, split="Test", pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="mmspec.SaliencyMetric")
test_evaluator = val_evaluator

train_cfg = dict(max_iters=160000, val_interval=16000)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=160000)
default_hooks = dict(
    checkpoint=dict(interval=16000),
    visualization=dict(_delete_=True, type="mmspec.SaliencyPictureHook", num_images=8),
)
