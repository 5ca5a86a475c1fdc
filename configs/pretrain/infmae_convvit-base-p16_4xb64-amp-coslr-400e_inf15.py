# Table 8 of the paper: Inf15, about 150 K images (the default config: Inf30, 305,241).
_base_ = "./infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"

# ============ Often changed ============
data_root = "data/inf50"
# tools/dataset_converters/prepare_corpus.py data/inf50 --sample 150000 --out inf15.txt
ann_file = "inf15.txt"

# ============ Rarely changed ============
train_dataloader = dict(dataset=dict(data_root=data_root, ann_file=ann_file))
