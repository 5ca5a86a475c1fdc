# The same on FMB, which has no validation part: its test part is watched, and chooses nothing.
_base_ = "./mspecgene_vit-base_upernet_1xb2-320k_semanticrt-768x768.py"

# ============ Often changed ============
data_root = "data/FMB"
dataset = "mmspec.FMBDataset"
val_split = "test"
num_classes = 15

# ============ Rarely changed ============
model = dict(
    decode_head=dict(num_classes=num_classes), auxiliary_head=dict(num_classes=num_classes)
)
train_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset, data_root=data_root, split=val_split))
test_dataloader = dict(dataset=dict(type=dataset, data_root=data_root))
