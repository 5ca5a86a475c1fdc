# AdamW without decay of norms, biases and tokens; 40 epochs of warm-up, then a cosine to zero.
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="mmspec.AdamW", lr=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=dict(mask_token=dict(decay_mult=0.0), cls_token=dict(decay_mult=0.0)),
    ),
)

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=400)
test_cfg = dict()
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1e-4,
        begin=0,
        end=40,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type="CosineAnnealingLR", begin=40, end=400, by_epoch=True, convert_to_iter_based=True),
]
# The learning rate is that of 256 images; `--auto-scale-lr` adapts it to another batch.
auto_scale_lr = dict(base_batch_size=256)
