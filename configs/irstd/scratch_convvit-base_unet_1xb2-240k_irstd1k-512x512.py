# Table 3 of the paper: no pre-training. "ViT-B" there; here InfMAE's own network, so that the
# difference is what pre-training is worth. A plain ViT-B from scratch: the MAE config with
# `--cfg-options model.backbone.init_cfg=None`.
_base_ = "./infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"

model = dict(backbone=dict(init_cfg=None))
