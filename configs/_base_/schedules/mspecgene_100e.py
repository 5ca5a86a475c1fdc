# As pretrain_400e.py, for 100 epochs of 1024 pairs a step.
_base_ = "./pretrain_400e.py"

optim_wrapper = dict(
    optimizer=dict(lr=6e-4),
    # Not named bias by their module, and so not found by bias_decay_mult.
    paramwise_cfg=dict(
        custom_keys=dict(q_bias=dict(decay_mult=0.0), v_bias=dict(decay_mult=0.0))
    ),
)
train_cfg = dict(max_epochs=100)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=10)
param_scheduler[1].update(begin=10, end=100)
auto_scale_lr = dict(base_batch_size=1024)
