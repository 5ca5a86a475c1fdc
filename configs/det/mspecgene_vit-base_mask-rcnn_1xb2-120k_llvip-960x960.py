# The same on LLVIP: streets at night, one class.
_base_ = "./mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py"

# ============ Often changed ============
data_root = "data/LLVIP"
dataset = "mmspec.LLVIPDataset"
test_split = "test"
num_classes = 1

# ============ Rarely changed ============
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=num_classes), mask_head=dict(num_classes=num_classes))
)
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, split=test_split))
test_dataloader = val_dataloader
