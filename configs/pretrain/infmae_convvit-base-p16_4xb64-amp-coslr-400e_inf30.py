# InfMAE, base, as in the paper (ECCV 2024, arXiv 2402.00407, section 5.1).
_base_ = [
    "../_base_/models/infmae_convvit-base.py",
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
# Deviations from the paper, with its own value:
# * masking score: mean gray level of the crop's patches, computed exactly. Paper: mean over the
#   channels of a convolution; released code: of a frozen random one, in ascending order
#   (infmae_convvit-base-p16_released-mask_4xb64-amp-coslr-400e_inf30.py).
# * decoder heads: 16, as released. Paper: 12, which does not divide the width of 512.
# * seed 0 and one-channel loading (three equal channels from the data preprocessor on).

train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
# bfloat16 where the GPU has it; as released, dtype="float16"; float32 on a CPU.
optim_wrapper = dict(type="mmspec.AmpOptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
