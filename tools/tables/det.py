"""Infrared detection: table 2 of InfMAE, and the same question on data at hand."""

from _common import PRETRAIN, WITHOUT_VALIDATION, row  # noqa: F401  (PRETRAIN is the runner's)

_CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
_TABLE_2 = [
    # row, config, start, the paper's AP50 of the classes, mAP and AP50
    ("DETR, ResNet101", "detr_r101", None, 78.5, 88.1, 87.8, 75.8, 65.9, 78.1, 46.7, 79.0),
    ("Sparse R-CNN, ResNet50", "sparse-rcnn_r50", None,
     84.2, 88.7, 88.0, 75.3, 66.2, 74.0, 48.3, 79.4),
    ("DINO, Swin-L", "dino_swin-large", None, 83.2, 87.5, 85.6, 61.5, 60.4, 73.5, 45.3, 75.3),
    ("Scratch, Mask R-CNN", "scratch_convvit-base_mask-rcnn", None,
     83.3, 88.6, 90.1, 72.4, 66.4, 79.1, 48.7, 80.0),
    ("MAE, Mask R-CNN", "mae_vit-base_mask-rcnn", "mae",
     84.8, 89.6, 93.1, 76.0, 76.5, 80.5, 51.4, 83.4),
    ("MCMAE, Mask R-CNN", "mcmae_convvit-base_mask-rcnn", "mcmae",
     87.8, 90.8, 93.1, 87.7, 85.9, 84.9, 55.7, 88.4),
    ("InfMAE, Mask R-CNN", "infmae_convvit-base_mask-rcnn", "infmae",
     87.9, 90.7, 94.6, 87.1, 85.2, 83.2, 56.2, 88.1),
    ("Scratch, Cascade R-CNN", "scratch_convvit-base_cascade-rcnn", None,
     83.7, 88.6, 91.1, 68.2, 63.9, 79.0, 50.9, 79.1),
    ("MAE, Cascade R-CNN", "mae_vit-base_cascade-rcnn", "mae",
     85.2, 88.9, 94.3, 72.2, 72.6, 79.6, 52.8, 82.1),
    ("MCMAE, Cascade R-CNN", "mcmae_convvit-base_cascade-rcnn", "mcmae",
     85.6, 90.4, 93.1, 76.8, 80.9, 83.7, 54.7, 85.1),
    ("InfMAE, Cascade R-CNN", "infmae_convvit-base_cascade-rcnn", "infmae",
     85.7, 90.4, 94.9, 81.9, 81.4, 83.4, 55.8, 86.3),
]  # fmt: skip
_COLUMNS = {**{f"AP50/{name}": name for name in _CLASSES}, "mAP": "mAP", "AP50": "AP50"}


def _paper() -> dict:
    rows = [
        row(name, f"det/{config}_1xb2-260k_m3fd", 260000, start, paper=dict(zip(_COLUMNS, numbers)))
        for name, config, start, *numbers in _TABLE_2
    ]
    title = "M3FD, infrared: AP in percent, AP50 of classes; the paper's in brackets (table 2)"
    return dict(name="m3fd", title=title, metrics=_COLUMNS, rows=rows)


def _small(data: str, count: int, size: str, quick: list[str]) -> dict:
    rows = [
        row(
            name,
            f"det/{algorithm}_{config}-tiny_faster-rcnn_1xb4-1k_{data}",
            count,
            start,
            [*NETWORKS[size][config], *quick],
        )
        for name, algorithm, config, start in (
            ("from scratch", "scratch", "convvit", None),
            ("MAE, plain ViT and SimpleFPN", "mae", "vit", f"mae-{size}"),
            ("InfMAE, FPN", "infmae", "convvit", f"infmae-{size}"),
        )
    ]
    title = f"{data}, networks of size {size}, {count} iterations of 4 crops: AP in percent"
    metrics = {"AP50": "AP50", "mAP": "mAP", "AP_small": "AP small", "AR100": "AR100"}
    return dict(name=data, title=title, metrics=metrics, rows=rows)


#: Overrides of the tiny configs, by size and kind of network.
NETWORKS: dict[str, dict[str, list[str]]] = dict(
    tiny=dict(convvit=[], vit=[]),
    small=dict(
        convvit=["model.backbone.arch=small", "model.neck.in_channels=[128,192,384,384]"],
        vit=[
            "model.backbone.arch.embed_dims=384",
            "model.backbone.arch.num_heads=6",
            "model.backbone.arch.feedforward_channels=1536",
            "model.neck.in_channels=384",
        ],
    ),
)
#: Small crops, and one test at the end in place of a validation beside it.
QUICK = ["train_dataloader.dataset.pipeline.3.crop_size=(192,192)", *WITHOUT_VALIDATION]

#: A budget scales network, schedule and data; ``paper`` runs table 2 as printed.
BUDGETS = {
    "cpu": dict(
        seeds=(0, 1, 2),
        tables=[
            _small("hit-uav-512x640", 500, "tiny", QUICK),
            _small("msrs-480x640", 250, "tiny", QUICK),
        ],
    ),
    "gpu": dict(
        seeds=(0, 1, 2),
        tables=[
            _small("hit-uav-512x640", 6000, "small", []),
            _small("msrs-480x640", 2500, "small", []),
        ],
    ),
    "paper": dict(seeds=(0,), tables=[_paper()]),
}
