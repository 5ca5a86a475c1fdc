# Salient object detection over infrared / visible pairs (M-SpecGene, arXiv 2507.16318): the
# segmentation model of two modalities with one channel, what is salient.
_base_ = "./upernet_rgbt-vit-base.py"

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
