# What runs that count iterations share: log, checkpoints, checks.
_base_ = "../runtime.py"

default_hooks = dict(
    logger=dict(log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, max_keep_ckpts=2)
)
log_processor = dict(by_epoch=False)
custom_hooks = [
    dict(type="mmspec.ThroughputHook"),
    dict(type="mmspec.StopOnInvalidLossHook"),
]
