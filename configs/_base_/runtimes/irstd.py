# Small targets: segmentation with pictures of its own.
_base_ = "./seg.py"

default_hooks = dict(visualization=dict(type="mmspec.SmallTargetPictureHook", num_images=8))
