# A head alone: AdamW, 20 iterations of warm-up, then a cosine to zero.
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="mmspec.AdamW", lr=3e-3, betas=(0.9, 0.999), weight_decay=0.01),
)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=1000)
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=20, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=20, end=1000, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=8)
