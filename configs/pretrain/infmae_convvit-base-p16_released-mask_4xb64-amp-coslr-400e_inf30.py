# InfMAE with the masking of its released code: patches scored by the mean of a frozen, randomly
# initialised convolution, and every fourth rank of the ascending order visible. Paper (and the
# default config): gray level, descending.
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
score, order = "projection", "ascending"
stride = 4  # the released code takes no other

# ============ Rarely changed ============
# On the images as the network sees them, so in the model; the scores move with its seed.
model = dict(
    masker=dict(type="mmspec.InformationMasker", score=score, order=order, stride=stride),
)
train_dataloader = dict(
    batch_size=batch_size, num_workers=num_workers, dataset=dict(data_root=data_root)
)
# bfloat16 where the GPU has it; as released, dtype="float16"; float32 on a CPU.
optim_wrapper = dict(type="mmspec.AmpOptimWrapper", optimizer=dict(lr=lr))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=warmup_epochs)
param_scheduler[1].update(begin=warmup_epochs, end=max_epochs)
