# Crops and flips made on the GPU: workers only read images, of any size. For a GPU that waits for
# its loader; the views are of the same distribution, other ones.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

views = dict(size=224, crop_ratio_range=(0.2, 1.0))  # infrared=dict() adds gain, gamma and noise

model = dict(data_preprocessor=dict(views=views))
train_dataloader = dict(
    collate_fn=dict(type="mmspec.collate_padded"),
    dataset=dict(pipeline=[_base_.train_pipeline[0], _base_.train_pipeline[-1]]),
)
