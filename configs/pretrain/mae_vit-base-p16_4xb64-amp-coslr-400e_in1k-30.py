# Section 5.6 of the paper: plain MAE ViT-B on visible images, beside the same on Inf30. "IN1K-30"
# is read as 30 % of ImageNet-1K; how they were drawn is not said.
_base_ = "./mae_vit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
data_root = "data/imagenet/train"
# tools/dataset_converters/prepare_corpus.py data/imagenet/train --sample 384350 --out in1k-30.txt
ann_file = "in1k-30.txt"

# ============ Rarely changed ============
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[0] = dict(type="LoadImageFromFile")
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file=ann_file, pipeline=train_pipeline)
)
