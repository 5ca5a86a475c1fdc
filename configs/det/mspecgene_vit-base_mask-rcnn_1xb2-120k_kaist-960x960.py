# The same on KAIST, one class, with its log-average miss rate.
_base_ = "./mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py"

# ============ Often changed ============
data_root = "data/KAIST"
dataset = "mmspec.KAISTDataset"
test_split = "test"
num_classes = 1

# ============ Rarely changed ============
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes))
)
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, split=test_split))
test_dataloader = val_dataloader
# Occlusion, by which the settings of the miss rate choose, comes from KAIST_annotation.json:
# `tools/dataset_converters/to_coco.py kaist` writes annotations/{train,test}.json, then
# `to_coco.py kaist-json` the test part with it.
val_evaluator = [
    dict(type="mmspec.DetectionMetric"),
    dict(type="mmspec.MissRateMetric"),
]
test_evaluator = val_evaluator
