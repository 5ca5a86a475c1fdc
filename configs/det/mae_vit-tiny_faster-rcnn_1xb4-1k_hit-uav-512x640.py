# The same with a plain tiny ViT pre-trained by MAE on the same images, and the simple pyramid of
# its one map. Attention is global, as in the other rows: a crop may be smaller than a window.
_base_ = "./infmae_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py"

# ============ Often changed ============
checkpoint = "work_dirs/mae_vit-tiny-p16_1xb32-coslr-20e_inf-mini/epoch_20.pth"

# ============ Rarely changed ============
model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.ViTSAM",
        arch=dict(
            embed_dims=192,
            num_layers=12,
            num_heads=3,
            feedforward_channels=768,
            global_attn_indexes=list(range(12)),
        ),
        img_size=224,
        use_rel_pos=False,
        out_channels=0,
        drop_path_rate=0.1,
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=checkpoint),
    ),
    neck=dict(_delete_=True, type="mmspec.SimpleFPN", in_channels=192, out_channels=64),
)
