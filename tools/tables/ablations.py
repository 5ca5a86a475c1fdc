"""What InfMAE's pre-training is made of: tables 4 to 8 and section 5.6, whole and cut to a budget.

Each row is a pre-training of its own; what follows is the same for all rows of a table. ``cpu`` and
``gpu`` pre-train the configs of the paper's rows with smaller networks, for fewer epochs and on the
images at hand; a table has the two stages of M-SpecGene. ``cpu`` ends with masks and targets that
are not the paper's, at equal minutes and images.
"""

from _ablations_small import PRETRAIN as _SMALL
from _ablations_small import tables
from _common import PRETRAIN as _COMMON
from _common import pretraining, row
from _recipes import PRETRAIN as _RECIPES
from _recipes import tables as recipe_tables

_SEG = {"mIoU": "mIoU", "mAcc": "mAcc"}
_DET = {"AP50": "AP50", "mAP": "mAP"}
_INF30 = "4xb64-amp-coslr-400e_inf30"
_CONVVIT = "infmae_convvit-base-p16"
# Pre-trainings that no other table has.
_OWN = {
    "infmae-vit": pretraining(f"infmae_vit-base-p16_{_INF30}", 400),
    "infmae-random-mask": pretraining(f"{_CONVVIT}_random-mask_{_INF30}", 400),
    "infmae-released-mask": pretraining(f"{_CONVVIT}_released-mask_{_INF30}", 400),
    **{
        f"infmae-{change}": pretraining(f"{_CONVVIT}_{change}_{_INF30}", 400)
        for change in ("dec4", "dec8", "dec12", "stride2", "stride7", "stride14")
    },
    **{
        f"infmae-{count}e": pretraining(f"{_CONVVIT}_4xb64-amp-coslr-{count}e_inf30", count)
        for count in (200, 800, 1600)
    },
    **{
        f"infmae-{data}": pretraining(f"{_CONVVIT}_4xb64-amp-coslr-400e_{data}", 400)
        for data in ("inf10", "inf15", "inf50")
    },
    "mae-in1k-30": pretraining("mae_vit-base-p16_4xb64-amp-coslr-400e_in1k-30", 400),
}
PRETRAIN = {**_COMMON, **_SMALL, **_OWN, **_RECIPES}

# Table: title and rows of name, pre-training and the paper's mIoU, mAcc, AP50 and mAP.
_TABLES = {
    "table 4": (
        "the parts of InfMAE",
        [
            ("neither: MAE", "mae", 71.4, 78.2, 81.5, 49.1),
            ("information-aware masking", "infmae-vit", 72.0, 79.4, 78.9, 50.1),
            ("multi-scale encoder", "infmae-random-mask", 72.1, 79.8, 86.3, 55.0),
            ("both: InfMAE", "infmae", 74.3, 82.5, 88.1, 56.2),
            ("both, the released masking", "infmae-released-mask"),
        ],
    ),
    "table 5": (
        "blocks of the decoder",
        [
            ("2", "infmae", 74.3, 82.5, 88.1, 56.2),
            ("4", "infmae-dec4", 72.9, 80.4, 87.9, 55.6),
            ("8", "infmae-dec8", 73.2, 80.7, 87.6, 53.8),
            ("12", "infmae-dec12", 74.0, 81.9, 87.2, 54.1),
        ],
    ),
    "table 6": (
        "stride of the masking",
        [
            ("2", "infmae-stride2", 74.2, 82.0, 89.3, 56.1),
            ("4", "infmae", 74.3, 82.5, 88.1, 56.2),
            ("7", "infmae-stride7", 71.8, 79.9, 88.0, 54.9),
            ("14", "infmae-stride14", 70.4, None, None, 54.3),
        ],
    ),
    "table 7": (
        "epochs of pre-training",
        [
            ("200", "infmae-200e", 71.3, 78.9, 87.4, 55.4),
            ("400", "infmae", 74.3, 82.5, 88.1, 56.2),
            ("800", "infmae-800e", 74.9, 83.1, 88.3, 55.9),
            ("1600", "infmae-1600e", 74.9, 83.2, 88.2, 56.0),
        ],
    ),
    "table 8": (
        "amount of data",
        [
            ("Inf10", "infmae-inf10", 69.1, 77.6, 86.9, 55.0),
            ("Inf15", "infmae-inf15", 73.0, None, None, 55.6),
            ("Inf30", "infmae", 74.3, 82.5, 88.1, 56.2),
            ("Inf50", "infmae-inf50", 73.0, 80.5, 87.3, 55.8),
        ],
    ),
    "section 5.6": (
        "plain MAE on visible or infrared images",
        [
            ("IN1K-30", "mae-in1k-30", 66.7, None, 78.2, None),
            ("Inf30", "mae", 71.6, None, 83.4, None),
        ],
    ),
}
# Where the paper contradicts itself: by table and task.
_NOTES = {
    ("table 4", "det"): [
        "MAE: 81.5 AP50 and 49.1 mAP here, 83.4 and 51.4 in the paper's table 2, whose AP50 is the"
        " mean of its classes.",
        "Multi-scale encoder: 86.3 AP50 and 55.0 mAP here, 88.4 and 55.7 for MCMAE in table 2,"
        " although the segmentation of the two is the same, 72.1 and 79.8.",
    ],
    ("table 4", "seg"): [
        "Multi-scale encoder: the paper's numbers are those of MCMAE in table 1, which has another"
        " decoder and loss than this row's pre-training."
    ],
    ("section 5.6", "seg"): ["Inf30: 71.6 mIoU here, 71.4 for the same MAE in tables 1 and 4."],
    ("section 5.6", "det"): ["Inf30: 83.4 AP50 here and in table 2, 81.5 in table 4."],
}
_PLAIN_VIT = ("mae", "infmae-vit", "mae-in1k-30")
# The cells that tables 1 and 2 have too.
_SHARED = {"mae": "MAE", "infmae": "InfMAE"}


def _paper(table: str, task: str) -> dict:
    what, rows = _TABLES[table]
    if task == "seg":
        data, head, count, metrics, numbers = "msrs", "UperNet", 240000, _SEG, slice(0, 2)
        config = "seg/{}_upernet_1xb2-240k_msrs-480x640"
        title = "MSRS, UperNet: IoU in percent"
    else:
        data, head, count, metrics, numbers = "m3fd", "Mask R-CNN", 260000, _DET, slice(2, 4)
        config = "det/{}_mask-rcnn_1xb2-260k_m3fd"
        title = "M3FD, Mask R-CNN: AP in percent"
    entries = []
    for name, start, *paper in rows:
        network = "mae_vit-base" if start in _PLAIN_VIT else "infmae_convvit-base"
        place = (f"{data} {_SHARED[start]}, {head}",) if start in _SHARED else (start, data)
        home = task if start in _SHARED else "ablations"
        known = {key: n for key, n in zip(metrics, paper[numbers]) if n is not None}
        entries.append(
            row(name, config.format(network), count, start, cell=(home, *place), paper=known)
        )
    return dict(
        name=f"{table} {task}",
        title=f"{table.capitalize()}, {what}. {title}; the paper's in brackets",
        metrics=metrics if table != "section 5.6" else dict(list(metrics.items())[:1]),
        rows=entries,
        notes=_NOTES.get((table, task), []),
    )


#: ``paper`` is as printed; a budget scales network, schedule and data.
BUDGETS = {
    "cpu": dict(seeds=(0, 1, 2), tables=[*tables("tiny"), *recipe_tables()]),
    "gpu": dict(seeds=(0, 1, 2), tables=tables("small")),
    "paper": dict(
        seeds=(0,), tables=[_paper(table, task) for table in _TABLES for task in ("seg", "det")]
    ),
}
