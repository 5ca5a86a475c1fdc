# A tiny InfMAE on pairs: it sees the infrared image and predicts features that a frozen encoder of
# visible images, which you name, has of the visible one. Not the paper's.
_base_ = [
    "../_base_/models/infmae_convvit-base.py",
    "../_base_/datasets/rgbt550k.py",
    "../_base_/schedules/pretrain_400e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "{{$MMSPEC_DATA:data}}/roadscene"
infrared, visible = "cropinfrared", "crop_LR_visible"
teacher = "mae_pretrain_vit_base.pth"  # as mmspec reads it, or a backbone's config
teacher_dims = 768  # channels of its last map
batch_size = 20
num_workers = 1  # mim and mmpretrain want at least 1
max_epochs = 40

# ============ Sometimes changed ============
warmup_epochs = 2
lr = 1e-3
score, stride = "intensity", 4  # of the infrared image
mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # the teacher's: ImageNet's

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type="mmspec.RGBTDataPreprocessor",
        mean_infrared=[108.375] * 3,
        std_infrared=[51.0] * 3,
    ),
    backbone=dict(arch="tiny"),
    neck=dict(in_dims=224, dims=128, depth=2, num_heads=4, out_dims=teacher_dims),
    head=dict(
        targets=dict(
            type="mmspec.TeacherTarget", teacher=teacher, mean=mean, std=std, modality="visible"
        )
    ),
    masker=dict(type="mmspec.InformationMasker", score=score, stride=stride),
)
pairs = dict(data_root=data_root, infrared=infrared, visible=visible)
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(**pairs, ann_file="train.txt")
)
test_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(**pairs, ann_file="test.txt")
)
optim_wrapper = dict(type="mmspec.Bfloat16OptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
auto_scale_lr = dict(base_batch_size=20)
default_hooks = dict(logger=dict(interval=6), checkpoint=dict(interval=10))
