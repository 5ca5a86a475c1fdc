# A folder of infrared images for pre-training, with the information-aware masks of InfMAE.
_base_ = "./inf30.py"

mask = dict(type="mmspec.InformationAwareMask", score="intensity", stride=4)
pack = dict(type="PackInputs", algorithm_keys=["ids_keep"])
train_pipeline = [*_base_.train_pipeline[:-1], mask, pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = [*_base_.test_pipeline[:-1], mask, pack]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
