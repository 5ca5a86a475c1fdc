# Salient object detection on infrared / visible pairs of your own with M-SpecGene's encoder
# (docs/your_data.md), for one GPU.
_base_ = "./mspecgene_vit-base_upernet_1xb2-160k_vt5000-768x768.py"

# ============ Often changed ============
data_root = "data/mine"  # {train,val}/T/NAME.*, {train,val}/RGB/NAME.*, {train,val}/GT/NAME.*
modality = "both"  # "infrared" or "visible": one of the two images alone
checkpoint = "M-SpecGene.pth"  # an encoder to start from; None: scratch
# Of images of more than 8 bits; dict(range=(27000, 31000)): values that become black and white
infrared_scale = dict(percentiles=(0.5, 99.5))
batch_size = 2
max_iters = 20000

# ============ Sometimes changed ============
val_interval = 2000

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        backbone=dict(
            init_cfg=checkpoint and dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint)
        )
    )
)
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
mine = dict(
    _delete_=True, type="mmspec.SaliencyDataset", modality=modality, infrared_scale=infrared_scale
)
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(**mine, data_root=f"{data_root}/train", pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(**mine, data_root=f"{data_root}/val", pipeline=test_pipeline, test_mode=True)
)
test_dataloader = dict(
    dataset=dict(**mine, data_root=f"{data_root}/val", pipeline=test_pipeline, test_mode=True)
)
train_cfg = dict(max_iters=max_iters, val_interval=val_interval)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
default_hooks = dict(checkpoint=dict(interval=val_interval, save_best="S", rule="greater"))
