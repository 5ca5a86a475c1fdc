# Matching: pictures, and a log for a short run.
_base_ = "./iterations.py"

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=500),
    visualization=dict(type="mmspec.MatchingPictureHook", num_images=8),
)
