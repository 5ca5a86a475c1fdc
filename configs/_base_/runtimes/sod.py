# Salient objects: segmentation with pictures of its own.
_base_ = "./seg.py"

default_hooks = dict(visualization=dict(type="mmspec.SaliencyPictureHook", num_images=8))
