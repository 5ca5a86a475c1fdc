# Detection with mmdet: scope, pictures.
_base_ = "./iterations.py"

default_scope = "mmdet"
default_hooks = dict(visualization=dict(type="mmspec.DetectionPictureHook", num_images=8))
visualizer = dict(type="DetLocalVisualizer")
env_cfg = dict(cudnn_benchmark=False)  # images are of many sizes
