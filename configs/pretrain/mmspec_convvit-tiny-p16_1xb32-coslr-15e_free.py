# The encoder that mmspec ships, `mmspec.load_encoder("tiny")`: only images whose licences let
# anyone use what is trained on them, and rendered scenes (WEIGHTS.md). Not the paper's recipe.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Often changed ============
hit_uav_root = "{{$MMSPEC_DATA:data}}/inf_mini/images/hit_uav"  # 1,829 of its training images
udder_root = "{{$MMSPEC_DATA:data}}/inf_mini/images/udder"  # 1,395 of its training images
num_scenes = 776  # rendered; 4,000 images in all, 125 steps an epoch
max_epochs = 15

# ============ Sometimes changed ============
# The recipe: which patches are seen, what is predicted of the others.
masker = dict(type="mmspec.InformationMasker", score="intensity", stride=4)
targets = dict(type="mmspec.PixelTarget", norm_pix=True)
out_dims = 768  # values a patch that the decoder predicts: those of the targets in all

# ============ Rarely changed ============
model = dict(masker=masker, head=dict(targets=targets), neck=dict(out_dims=out_dims))
folder = dict(
    type="mmspec.InfraredFolder",
    infrared_scale=_base_.infrared_scale,
    pipeline=_base_.train_pipeline,
)
scenes = dict(
    type="mmspec.SyntheticInfrared",
    length=num_scenes,
    size=(224, 280),  # small enough for all to be kept once rendered
    seed=100,  # of no other set here
    pipeline=_base_.train_pipeline[1:],
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="ConcatDataset",
        datasets=[dict(folder, data_root=hit_uav_root), dict(folder, data_root=udder_root), scenes],
        # What scenes have and folders have not, and the other way round.
        ignore_keys=["classes", "palette", "infrared_scale"],
    ),
)
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
