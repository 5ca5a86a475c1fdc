# Segmentation with mmseg: scope, pictures.
_base_ = "./iterations.py"

default_scope = "mmseg"
default_hooks = dict(visualization=dict(type="mmspec.SegmentationOverlayHook", num_images=8))
visualizer = dict(type="SegLocalVisualizer")
