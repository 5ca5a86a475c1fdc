# Table 4 of the paper, first row, and section 5.6: plain MAE ViT-B on the same data.
# Model and decoder are mmpretrain's. For section 5.6's other row let data_root be 30 % of
# ImageNet-1K.
_base_ = [
    "../_base_/models/mae_vit-base.py",
    "../_base_/datasets/inf30.py",
    "../_base_/schedules/pretrain_400e.py",
    "../_base_/runtime.py",
]

# ============ Often changed ============
data_root = "data/inf30"  # any folder of infrared images
batch_size = 64  # per GPU, 4 GPUs
num_workers = 8
max_epochs = 400

# ============ Sometimes changed ============
warmup_epochs = 40
lr = 1.5e-4  # of 256 images a step; --auto-scale-lr adapts it to another number

# ============ Rarely changed ============
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
# bfloat16 where the GPU has it; as released, dtype="float16"; float32 on a CPU.
optim_wrapper = dict(type="mmspec.AmpOptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
# mmpretrain's MAE does not predict.
test_dataloader = None
test_evaluator = None
test_cfg = None
