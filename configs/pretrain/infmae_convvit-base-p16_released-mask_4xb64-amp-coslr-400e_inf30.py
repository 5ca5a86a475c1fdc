# InfMAE with the masking of its released code: patches scored by the mean of a frozen, randomly
# initialised convolution, and every fourth rank of the ascending order visible. Paper (and the
# default config): gray level, descending.
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

score, order = "projection", "ascending"
stride = 4  # the released code takes no other

# On the images as the network sees them, so in the model; the scores move with its seed.
model = dict(
    masker=dict(type="mmspec.InformationMasker", score=score, order=order, stride=stride),
)
train_pipeline = [*_base_.train_pipeline[:3], dict(type="PackInputs")]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = [*_base_.test_pipeline[:3], dict(type="PackInputs")]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
