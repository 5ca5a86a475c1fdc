# The same on MFNet.
_base_ = "./mspecgene_vit-base_upernet_1xb2-320k_semanticrt-768x768.py"

# ============ Often changed ============
data_root = "data/MFNet"
dataset = "mmspec.MFNetDataset"
val_split = "val"
num_classes = 9

# ============ Rarely changed ============
model = dict(
    decode_head=dict(num_classes=num_classes), auxiliary_head=dict(num_classes=num_classes)
)
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, split=val_split))
test_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
