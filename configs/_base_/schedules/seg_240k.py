# Fine-tuning of segmentors: AdamW with layer decay, 1,500 iterations of warm-up, then down to zero
# in a line.
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor="mmspec.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.75, norm_decay_mult=0.0, bias_decay_mult=0.0),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=240000, val_interval=24000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=1500, end=240000, by_epoch=False),
]
# The learning rate is that of 2 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=2)
