# Fine-tuning of detectors: AdamW with layer decay, 1,000 iterations of warm-up, then a cosine.
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1),
    constructor="mmspec.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.8, norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=260000, val_interval=26000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=1000, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0.0, begin=1000, end=260000, by_epoch=False),
]
# The learning rate is that of 2 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=2)
