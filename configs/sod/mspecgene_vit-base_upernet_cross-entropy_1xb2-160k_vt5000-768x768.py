# The same with the loss of the release: two classes, background and salient, and cross-entropy. The
# probability that is scored is that of the second.
_base_ = "./mspecgene_vit-base_upernet_1xb2-160k_vt5000-768x768.py"

two_classes = dict(out_channels=2, threshold=None)
cross_entropy = dict(type="CrossEntropyLoss", avg_non_ignore=True)
model = dict(
    decode_head=dict(**two_classes, loss_decode=[cross_entropy]),
    auxiliary_head=dict(**two_classes, loss_decode=[dict(**cross_entropy, loss_weight=0.4)]),
)
