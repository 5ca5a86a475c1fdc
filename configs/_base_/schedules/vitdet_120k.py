# ViTDet's: 250 iterations of warm-up, a tenth of the rate after 8/9 and 26/27 of the schedule.
_base_ = "./det_260k.py"

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.7))
train_cfg = dict(max_iters=120000, val_interval=12000)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=250, by_epoch=False),
    dict(
        type="MultiStepLR",
        milestones=[106667, 115556],
        gamma=0.1,
        begin=0,
        end=120000,
        by_epoch=False,
    ),
]
