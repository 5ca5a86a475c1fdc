# Crops and flips of pairs made on the GPU: workers only read images, of any size. For a GPU that
# waits for its loader; the views are of the same distribution, other ones.
_base_ = "./mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"

# infrared=dict(), visible=True add the steps of mmspec.RGBTPhotometric; none as released
views = dict(size=224, crop_ratio_range=(0.2, 1.0))

model = dict(data_preprocessor=dict(views=views))
train_dataloader = dict(
    collate_fn=dict(type="mmspec.collate_padded"),
    dataset=dict(pipeline=[_base_.train_pipeline[0], _base_.train_pipeline[-1]]),
)
