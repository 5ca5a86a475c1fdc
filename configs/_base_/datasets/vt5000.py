# Pairs of VT5000 for salient objects, with their metric.
_base_ = "./semanticrt.py"

# `dataset_name` lets the metric score several data sets of one test apart.
pack = dict(type="PackSegInputs", meta_keys=(*_base_.pack["meta_keys"], "dataset_name"))
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(cat_max_ratio=1.0)  # of two classes, one of them small, it draws in vain
test_pipeline = [*_base_.test_pipeline[:-1], pack]
dataset = dict(type="mmspec.VT5000Dataset", data_root="data/VT5000")
train_dataloader = dict(dataset=dict(**dataset, split="Train", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, split="Test", pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="mmspec.SaliencyMetric")
test_evaluator = val_evaluator
