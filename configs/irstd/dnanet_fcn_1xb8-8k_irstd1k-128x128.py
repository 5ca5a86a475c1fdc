# DNANet in the recipe of the small U-Net, as much training as a CPU can give it: the two differ by
# the network and its supervision.
_base_ = "./unet16-s5_fcn_1xb8-8k_irstd1k-128x128.py"

model = dict(
    backbone=dict(_delete_=True, type="mmspec.DenseNestedUNet", norm_cfg=_base_.norm_cfg),
    auxiliary_head=[{**_base_.model.decode_head, "in_index": index} for index in range(4)],
)
