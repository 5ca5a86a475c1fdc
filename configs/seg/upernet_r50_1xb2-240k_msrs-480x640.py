# Table 1 of the paper: UperNet on a ResNet-50 that was trained on ImageNet; mmseg's model and
# optimiser. The paper does not give this baseline's recipe.
_base_ = "./infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = "open-mmlab://resnet50_v1c"

# ============ Sometimes changed ============
lr = 0.0025  # mmseg's 0.01 for 8 images, for 2

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="ResNetV1c",
        depth=50,
        norm_cfg=_base_.norm_cfg,
        style="pytorch",
        contract_dilation=True,
        init_cfg=dict(type="Pretrained", checkpoint=checkpoint),
    ),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
    auxiliary_head=dict(in_channels=1024),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=lr, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=_base_.max_iters, by_epoch=False)
]
