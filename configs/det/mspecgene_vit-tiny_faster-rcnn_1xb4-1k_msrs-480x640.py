# A tiny M-SpecGene encoder over both modalities with a narrow Faster R-CNN on MSRS, for one CPU.
_base_ = "./infmae_convvit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"

# ============ Often changed ============
checkpoint = "work_dirs/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene/epoch_40.pth"
modality = "both"
labels = "fusion"  # the truth of every modality, so that they can be compared

# ============ Rarely changed ============
encoder = dict(
    type="mmpretrain.ViTSAM",
    arch=dict(
        embed_dims=192,
        num_layers=6,
        num_heads=3,
        feedforward_channels=768,
        global_attn_indexes=[2, 5],
    ),
    img_size=224,
    window_size=14,
    use_rel_pos=True,
    out_channels=0,
    drop_path_rate=0.1,
    init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
)
model = dict(
    data_preprocessor=dict(
        _delete_=True, type="mmspec.RGBTDetDataPreprocessor", pad_size_divisor=32
    ),
    backbone=dict(_delete_=True, type="mmspec.RGBTBackbone", fusion="concat", backbone=encoder),
    neck=dict(_delete_=True, type="mmspec.SimpleFPN", in_channels=2 * 192, out_channels=64),
)
load = dict(type="mmspec.LoadRGBTImageFromFile")
meta_keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "channels")
train_pipeline = [
    load,
    *_base_.train_pipeline[1:-2],
    dict(type="mmspec.RGBTPhotometric"),
    dict(type="PackDetInputs", meta_keys=meta_keys),
]
test_pipeline = [
    load,
    *_base_.test_pipeline[1:-1],
    dict(type="PackDetInputs", meta_keys=(*meta_keys, "instances")),
]
train_dataloader = dict(dataset=dict(modality=modality, labels=labels, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(modality=modality, labels=labels, pipeline=test_pipeline))
test_dataloader = val_dataloader
