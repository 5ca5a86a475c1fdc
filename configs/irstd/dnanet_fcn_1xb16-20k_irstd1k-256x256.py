# DNANet (arXiv 2106.00487) on IRSTD-1k, in the recipe of the U-Net beside it, that of BasicIRSTD's
# re-run (IoU 65.7). The paper's own is Adagrad at 0.05 for 1,500 epochs. As in the paper, each node
# of the first row is supervised and the loss is the mean of theirs and that of the fused map, which
# alone predicts.
_base_ = "./unet-s5_fcn_1xb16-20k_irstd1k-256x256.py"

norm_cfg = dict(type="SyncBN", requires_grad=True)
head = dict(
    type="FCNHead",
    in_channels=16,
    channels=16,
    num_convs=0,
    concat_input=False,
    dropout_ratio=0.0,
    num_classes=2,
    out_channels=1,
    threshold=0.5,
    norm_cfg=norm_cfg,
    align_corners=False,
    loss_decode=dict(type="mmspec.SoftIoULoss", over="batch", loss_weight=0.2),
    init_cfg=_base_.few_targets,
)
model = dict(
    backbone=dict(_delete_=True, type="mmspec.DenseNestedUNet", norm_cfg=norm_cfg),
    decode_head={**head, "_delete_": True, "in_index": 4},
    auxiliary_head=[{**head, "in_index": index} for index in range(4)],
)
