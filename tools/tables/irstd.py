"""Infrared small targets: table 3 of InfMAE, and the same question on data at hand."""

from pathlib import Path

from _common import PRETRAIN, row  # noqa: F401  (PRETRAIN is the runner's)

_COLUMNS = {name: name for name in ("IoU", "nIoU", "F1", "Pd", "Fa", "AUC")} | {"Fa": "Fa (1e-6)"}
#: The test images without a near-duplicate in training, as tools/dataset_converters/clean_split.py
#: lists them. Where the list is there before a row is tested, the table has their IoU too.
_CLEAN = Path("work_dirs/irstd1k_clean.txt").absolute()
_CLEAN_IOU = {"clean/IoU": "IoU, clean"} if _CLEAN.is_file() else {}
_MINUTES = {"minutes": "minutes"}
_TABLE_3 = [
    # row, config, start, the paper's Pd, AUC, F1 and IoU in percent
    ("Scratch", "scratch_convvit-base_unet", None, 86.1, 86.1, 72.6, 57.0),
    ("MAE", "mae_vit-base_unet", "mae", 86.8, 86.8, 72.8, 57.2),
    ("MCMAE", "mcmae_convvit-base_unet", "mcmae", 74.2, 90.8, 78.4, 64.5),
    ("UM-MAE", "um-mae_swin-tiny_unet", "um-mae", 99.6, 88.9, 73.5, 58.1),
    ("InfMAE", "infmae_convvit-base_unet", "infmae", 96.6, 91.2, 79.5, 66.0),
]
# A decoder alone learns too little in so few steps at the rate of the whole network (README).
_FROZEN = ["model.backbone.frozen_stages=3", "optim_wrapper.optimizer.lr=3e-3"]
_TINY = ["model.backbone.init_cfg.checkpoint=tiny"]
_SHIPPED = {"the shipped encoder": _TINY, "the shipped encoder, frozen": [*_TINY, *_FROZEN]}
_IN_PERCENT = "IoU, nIoU, F1, Pd in percent"


def _paper() -> dict:
    setting = "1xb2-240k_irstd1k-512x512"
    rows = [
        row(
            name,
            f"irstd/{config}_{setting}",
            240000,
            start,
            # AUC from 0 to 1, as the metric gives it.
            paper={"Pd": pd, "AUC": round(auc / 100, 3), "F1": f1, "IoU": iou},
        )
        for name, config, start, pd, auc, f1, iou in _TABLE_3
    ]
    rows += [
        # Not of the paper: an independent run of InfMAE with a UPerHead has IoU 65.70, F1 79.30.
        row("InfMAE, UPerHead", f"irstd/infmae_convvit-base_upernet_{setting}", 240000, "infmae"),
        row("U-Net", "irstd/unet-s5_fcn_1xb16-20k_irstd1k-256x256", 20000, None),
        row(
            "DNANet",
            "irstd/dnanet_fcn_1xb16-20k_irstd1k-256x256",
            20000,
            None,
            paper={"Pd": 89.6, "AUC": 0.878, "F1": 76.4, "IoU": 61.8},
        ),
    ]
    title = f"IRSTD-1k: {_IN_PERCENT}; the paper's in brackets (table 3)"
    return dict(name="irstd1k", title=title, metrics=_COLUMNS, rows=rows)


def _irstd1k() -> dict:
    crops = "irstd1k-128x128"
    rows = [
        row("U-Net, 16 channels", f"irstd/unet16-s5_fcn_1xb8-8k_{crops}", 8000, None),
        row("U-Net, deep supervision", f"irstd/unet16-s5_fcn-deep_1xb8-20k_{crops}", 20000, None),
        row("DNANet", f"irstd/dnanet_fcn_1xb8-8k_{crops}", 8000, None, seeds=(0,)),
    ]
    for name, config, start, options in (
        ("encoder from scratch", "scratch_convvit-tiny", None, []),
        *((name, "infmae_convvit-tiny", None, options) for name, options in _SHIPPED.items()),
        ("InfMAE on inf_mini", "infmae_convvit-tiny", "infmae-tiny", []),
        ("InfMAE on inf_mini, frozen", "infmae_convvit-tiny", "infmae-tiny", _FROZEN),
        ("MAE on inf_mini", "mae_vit-tiny", "mae-tiny", []),
    ):
        setting = f"irstd/{config}_unet_1xb8-3k_{crops}"
        rows.append(row(name, setting, 3000, start, options))
    iterations = "8,000 iterations (deep supervision 20,000, encoders 3,000)"
    title = f"irstd1k, {iterations} of 8 crops of 128x128: {_IN_PERCENT}"
    return _with_clean(dict(name="irstd1k", title=title, metrics=_COLUMNS | _MINUTES, rows=rows))


def _with_clean(table: dict) -> dict:
    for entry in table["rows"] if _CLEAN_IOU else ():
        entry["test_options"] = [f"test_evaluator.subsets.clean={_CLEAN}"]
    return table | dict(metrics=table["metrics"] | _CLEAN_IOU)


def _base_on_irstd1k() -> dict:
    config = "irstd/scratch_convvit-base_unet_1xb32-amp-2k_irstd1k-512x512"
    title = f"irstd1k, 2,000 iterations of 32 images: {_IN_PERCENT}"
    rows = [row("base encoder from scratch", config, 2000, None, seeds=(0,))]
    return _with_clean(dict(name="irstd1k", title=title, metrics=_COLUMNS | _MINUTES, rows=rows))


def _sirst_v2(count: int, encoder: str, options: list[str]) -> dict:
    config = "convvit-tiny_unet_1xb8-1k_sirstv2-128x128"
    rows = [
        row("from scratch", f"irstd/scratch_{config}", count, None, options),
        row("InfMAE on inf_mini", f"irstd/infmae_{config}", count, encoder, options),
    ]
    for name, more in (_SHIPPED if encoder == "infmae-tiny" else {}).items():
        rows.append(row(name, f"irstd/infmae_{config}", count, None, [*options, *more]))
    title = f"sirst_v2, {count} iterations of 8 crops of 128x128: {_IN_PERCENT}"
    return dict(name="sirst_v2", title=title, metrics=_COLUMNS, rows=rows)


def _synthetic(unet_count: int, count: int, options: list[str]) -> dict:
    unet, encoder = "unet-s4_fcn_1xb16-1k", "scratch_convvit-tiny_unet_1xb8-4k"
    title = (
        f"rendered scenes, U-Net: {unet_count} iterations of 16 crops of 64x64, encoder: {count}"
        f" of 8: {_IN_PERCENT}"
    )
    rows = [
        row("U-Net", f"irstd/{unet}_synthetic-64x64", unet_count, None, []),
        row("encoder from scratch", f"irstd/{encoder}_synthetic-64x64", count, None, options),
    ]
    return dict(name="synthetic", title=title, metrics=_COLUMNS, rows=rows)


_SMALL_NETWORK = [
    "model.backbone.arch=small",
    "model.decode_head.in_channels=[128,192,384]",
]

#: A budget scales network, schedule and data; ``paper`` runs table 3 as printed.
BUDGETS = {
    "cpu": dict(
        seeds=(0, 1, 2),
        tables=[_irstd1k(), _sirst_v2(400, "infmae-tiny", []), _synthetic(1000, 4000, [])],
    ),
    "gpu": dict(
        seeds=(0, 1, 2),
        tables=[
            _base_on_irstd1k(),
            _sirst_v2(8000, "infmae-small", _SMALL_NETWORK),
            _synthetic(8000, 16000, _SMALL_NETWORK),
        ],
    ),
    "paper": dict(seeds=(0,), tables=[_paper()]),
}
