"""What pre-training gives: frozen features of tiny encoders, each beside its random weights.

All see 12,600 images, in 3 epochs of inf_mini or, of pairs, 53 of RoadScene; a seed is that of the
pre-training and of the probe.
"""

from _ablations_small import smaller_pretraining
from _common import pretraining, until
from _probes import EPOCHS, data_sets, probed, title

_PAIR_EPOCHS = 53
_TINY = "{}-tiny-p16_1xb32-coslr-20e_inf-mini"
_INF30 = "{}-p16_4xb64-amp-coslr-400e_inf30"


def _smaller(name: str, *options: str) -> dict:
    return smaller_pretraining("tiny", _INF30.format(name), EPOCHS / 4, options=options)


PRETRAIN = {
    "probed-mae": pretraining(_TINY.format("mae_vit"), EPOCHS, until(EPOCHS)),
    "probed-mcmae": _smaller("mcmae_convvit-base", "model.neck.depth=2"),
    "probed-um-mae": _smaller("um-mae_swin-tiny"),
    "probed-infmae": pretraining(_TINY.format("infmae_convvit"), EPOCHS, until(EPOCHS)),
    "probed-mspecgene": pretraining(
        "mspecgene_convvit-tiny-p16_1xb20-coslr-40e_roadscene", _PAIR_EPOCHS, until(_PAIR_EPOCHS)
    ),
}

_CONVVIT, _SWIN = ("F1", "F2", "F3", "all"), ("F1", "F2", "F3", "F4", "all")
_VIT = ("block4", "block6", "block8", "block12", "all")
_TRAINED = "{weights}"
# Name, encoder, its pre-training, its maps; random weights are of a checkpoint's architecture.
_ENCODERS = [
    ("random ConvViT", "random", "probed-infmae", _CONVVIT),
    ("random ViT", "random", "probed-mae", _VIT),
    ("random Swin", "random", "probed-um-mae", _SWIN),
    ("pixels", "pixels", None, ("pixels",)),
    ("positions", "positions", None, ("positions",)),
    ("MAE", _TRAINED, "probed-mae", _VIT),
    ("MCMAE", _TRAINED, "probed-mcmae", _CONVVIT),
    ("UM-MAE", _TRAINED, "probed-um-mae", _SWIN),
    ("InfMAE", _TRAINED, "probed-infmae", _CONVVIT),
    ("M-SpecGene", _TRAINED, "probed-mspecgene", _CONVVIT),
]


def _table(data: str) -> dict:
    what, numbers = title(data)
    rows = [
        probed(
            f"{name}, {of}" if len(maps) > 1 else name,
            data,
            encoder,
            start,
            of,
            arch=_TRAINED if encoder == "random" else None,
        )
        for name, encoder, start, maps in _ENCODERS
        for of in maps
    ]
    return dict(
        name=data,
        title=f"Frozen maps of tiny encoders, {what}",
        metrics={number: number for number in numbers},
        rows=rows,
    )


#: Published numbers there are none.
BUDGETS = {"cpu": dict(seeds=(0, 1, 2), tables=[_table(data) for data in data_sets()])}
