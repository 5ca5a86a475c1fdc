"""Infrared semantic segmentation: table 1 of InfMAE, and the same question on data at hand."""

TITLE = "Infrared semantic segmentation, mIoU in percent (background counts)"
METRIC = "mIoU"

_MSRS = "configs/seg/{}_1xb2-240k_msrs-480x640.py"
_PAPER_ROWS = [
    # method, head, config, paper's mIoU
    ("UperNet", "ResNet50", "upernet_r50", 65.6),
    ("DeepLabV3+", "ResNet50", "deeplabv3plus_r50-d8", 65.2),
    ("DNLNet", "ResNet101", "dnlnet_r101-d8", 67.0),
    ("DDRNet", "-", "ddrnet_23", 67.3),
    ("Scratch", "FCN", "scratch_convvit-base_fcn", 56.5),
    ("MAE", "FCN", "mae_vit-base_fcn", 64.1),
    ("UM-MAE", "FCN", "um-mae_swin-tiny_fcn", 62.4),
    ("MCMAE", "FCN", "mcmae_convvit-base_fcn", 70.6),
    ("InfMAE", "FCN", "infmae_convvit-base_fcn", 72.0),
    ("Scratch", "UperNet", "scratch_convvit-base_upernet", 61.1),
    ("MAE", "UperNet", "mae_vit-base_upernet", 71.4),
    ("UM-MAE", "UperNet", "um-mae_swin-tiny_upernet", 68.8),
    ("MCMAE", "UperNet", "mcmae_convvit-base_upernet", 72.1),
    ("InfMAE", "UperNet", "infmae_convvit-base_upernet", 74.3),
]

#: What a row may start from: a config of pre-training, its overrides, and its last checkpoint.
PRETRAIN = {
    "infmae-tiny": dict(
        config="configs/pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py",
        options=[],
        checkpoint="epoch_20.pth",
    )
}


def _tiny(data: str, name: str, start: str | None, iterations: int) -> dict:
    kind = "infmae" if start else "scratch"
    return dict(
        name=f"{data}, {name}",
        config=f"configs/seg/{kind}_convvit-tiny_upernet_1xb4-1k_{data}.py",
        options=[
            f"train_cfg.max_iters={iterations}",
            f"train_cfg.val_interval={iterations}",
            f"param_scheduler.1.end={iterations}",
            f"default_hooks.checkpoint.interval={iterations}",
        ],
        pretrain=start,
        checkpoint=f"iter_{iterations}.pth",
        paper=None,
    )


def _small(iterations: int) -> list[dict]:
    return [
        _tiny(data, name, start, iterations)
        for data in ("udder-240x320", "eye-200x200")
        for name, start in (("from scratch", None), ("InfMAE on inf_mini", "infmae-tiny"))
    ]


#: A budget scales schedule, data and seeds; ``paper`` runs table 1 as printed.
BUDGETS = {
    "cpu": dict(seeds=(0, 1, 2), rows=_small(500)),
    "gpu": dict(seeds=(0, 1, 2), rows=_small(1000)),
    "paper": dict(
        seeds=(0,),
        rows=[
            dict(
                name=f"{method}, {head}",
                config=_MSRS.format(config),
                options=[],
                pretrain=None,
                checkpoint="iter_240000.pth",
                paper=paper,
            )
            for method, head, config, paper in _PAPER_ROWS
        ],
    ),
}
