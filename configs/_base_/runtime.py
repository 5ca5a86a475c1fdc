# What every run shares: scopes, log, checkpoints, devices.
custom_imports = dict(imports=["mmspec"], allow_failed_imports=False)
default_scope = "mmpretrain"

default_hooks = dict(
    runtime_info=dict(type="mmspec.DeferredLogHook"),
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="mmspec.DurableCheckpointHook", interval=1, minutes=30, max_keep_ckpts=3),
    resume=dict(type="mmspec.ResumeHook"),
    schedule=dict(type="mmspec.ScheduleHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    head_classes=dict(type="mmspec.HeadClassesHook"),
    draws=dict(type="mmspec.RepeatableDrawsHook"),
    tf32=dict(type="mmspec.TF32Hook"),
    inherited=dict(type="mmspec.InheritedValuesHook"),
)
log_processor = dict(window_size=50)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends)

log_level = "INFO"
load_from = None
resume = False
# A fixed seed, so that a run repeats and a resumed one continues.
randomness = dict(seed=0)
