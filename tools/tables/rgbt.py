"""RGB-thermal pairs: M-SpecGene's published numbers, and both images against each on data at hand.

``paper`` pre-trains in the two stages of the paper, plain MAE and from it M-SpecGene, for all rows;
the published weights take their place by ``--start mspecgene=FILE``.
"""

import os

from _common import PRETRAIN, WITHOUT_VALIDATION, row  # noqa: F401  (PRETRAIN is the runner's)

_START = "mspecgene-tiny"
# Where RGBTBackbone keeps the encoder that a checkpoint is for.
_INNER = "model.backbone.backbone"


def _row(name: str, config: str, count: int, options: list[str], encoder: str = _INNER) -> dict:
    return row(name, config, count, _START, [*options, *WITHOUT_VALIDATION], encoder=encoder)


def _detection(count: int, crops: list[str]) -> dict:
    """MSRS; the truth is that of the fused images for all rows."""

    def of(name: str, which: str, encoder: str) -> dict:
        config = f"det/mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs{which}-480x640"
        return _row(name, config, count, crops, encoder)

    rows = [
        of("both images", "", _INNER),
        of("infrared alone", "-infrared", "model.backbone"),
        of("visible alone", "-visible", "model.backbone"),
    ]
    metrics = {"AP50": "AP50", "mAP": "mAP", "AP50/person": "person", "AP50/car": "car"}
    title = f"Detection, msrs_det, {count} iterations of 4 crops: AP in percent"
    return dict(name="msrs_det", title=title, metrics=metrics, rows=rows)


def _rendered(name: str, config: str, count: int, title: str, metrics: dict[str, str]) -> dict:
    """Rendered pairs, and one image of each: the network is the same, one modality is absent."""
    rows = [_row("both images", config, count, [])]
    for modality in ("infrared", "visible"):
        options = [f"{part}_dataloader.dataset.modality={modality}" for part in ("train", "test")]
        rows.append(_row(f"{modality} alone", config, count, options))
    title = f"{title}, rendered pairs, {count} iterations of 4"
    return dict(name=name, title=title, metrics=metrics, rows=rows)


_MATCHING = "configs/matching/mspecgene_vit-tiny_matching-head_1xb8-1k_roadscene.py"
_DATA = os.environ.get("MMSPEC_DATA", "data")  # as in the configs


def _matching(count: int) -> dict:
    """SIFT, frozen encoders and heads on them, all by one tool and on both sets of pairs."""

    def by(name: str, method: str, start: str | None, *arguments: str, **more) -> dict:
        command = ["tools/analysis_tools/matching.py", method, *arguments]
        command += ["--roadscene", f"{_DATA}/roadscene", "--registration", f"{_DATA}/registration"]
        score = dict(command=[*command, "--json", "{metrics}"], read=_of_the_method)
        return (
            dict(name=name, config=None, options=[], pretrain=start, paper={}, score=score) | more
        )

    def head(name: str, start: str | None, options: list[str]) -> dict:
        options = [f"train_cfg.max_iters={count}", f"param_scheduler.1.end={count}", *options]
        training = dict(config=_MATCHING, options=options, checkpoint=f"iter_{count}.pth")
        return by(name, "{weights}", start, "--config", _MATCHING, **training)

    metrics = {
        f"{key}/{name}": f"{title} {name}"
        for key, title in (("roadscene", "RoadScene"), ("registration", "registration"))
        for name in ("MMA@3", "MMA@5", "AUC@5", "AUC@10")
    }
    rows = [
        by("SIFT", "sift", None, seeds=(0,)),
        by("same place", "same-place", None, seeds=(0,)),
        by("ConvViT untrained", "random", None, "--seed", "{seed}"),
        by("InfMAE frozen", "{weights}", "infmae-tiny", seeds=(0,)),
        by("M-SpecGene frozen", "{weights}", _START, seeds=(0,)),
        head("head on an untrained ViT", None, ["model.backbone.init_cfg=None"]),
        head("head on M-SpecGene", _START, []),
    ]
    title = f"Matching, images 256 wide, heads of {count} iterations of 8 pairs: percent"
    return dict(name="matching", title=title, metrics=metrics, rows=rows)


def _of_the_method(numbers: dict) -> dict[str, float]:
    """What the tool wrote of its one method, by data set."""
    return {
        f"{data}/{name}": value
        for data, methods in numbers.items()
        for found in methods.values()
        for name, value in found.items()
    }


def _tables(detection_count: int, count: int, matching_count: int, crops: list[str]) -> list[dict]:
    segmentation = "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256"
    saliency = "sod/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128"
    return [
        _detection(detection_count, crops),
        _rendered(
            "segmentation",
            segmentation,
            count,
            "Segmentation: IoU in percent",
            {"mIoU": "mIoU", "mAcc": "mAcc", "aAcc": "aAcc"},
        ),
        _rendered(
            "saliency",
            saliency,
            count,
            "Salient objects: from 0 to 1",
            {"S": "S", "maxF": "max F", "maxE": "max E", "wF": "weighted F", "MAE": "MAE"},
        ),
        _matching(matching_count),
    ]


def _published(name: str, title: str, metrics: dict[str, str], rows: list[tuple]) -> dict:
    """Rows of (data set, config, iterations, published numbers)."""
    return dict(
        name=name,
        title=f"{title}; M-SpecGene's own in brackets",
        metrics=metrics,
        rows=[
            row(
                data,
                config,
                count,
                "mspecgene",
                encoder=_INNER,
                paper=dict(zip(metrics, numbers)),
            )
            for data, config, count, *numbers in rows
        ],
    )


_DET = "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_{}-960x960"
_SEG = "seg/mspecgene_vit-base_upernet_1xb2-320k_{}-768x768"
_SOD = "sod/mspecgene_vit-base_upernet{}_1xb2-160k_vt5000-768x768"
_PAPER = [
    _published(
        "detection",
        "Detection: AP in percent",
        {"mAP": "mAP"},
        [
            ("FLIR", _DET.format("flir"), 120000, 44.7),
            ("LLVIP", _DET.format("llvip"), 120000, 65.3),
        ],
    ),
    _published(
        "kaist",
        "KAIST: log-average miss rate in percent, reasonable setting",
        {"MR/Reasonable/All": "MR"},
        [("KAIST", _DET.format("kaist"), 120000, 23.74)],
    ),
    _published(
        "segmentation",
        "Segmentation: IoU in percent",
        {"mIoU": "mIoU"},
        [
            ("SemanticRT", _SEG.format("semanticrt"), 320000, 79.84),
            ("MVSeg", _SEG.format("mvseg"), 320000, 63.02),
            ("FMB", _SEG.format("fmb"), 320000, 60.0),
        ],
    ),
    _published(
        "saliency",
        "Salient objects, VT5000: from 0 to 1 (published of hard masks)",
        {"VT5000/S": "S", "VT5000/MAE": "MAE"},
        [
            ("cross-entropy", _SOD.format("_cross-entropy"), 160000, 0.892, 0.028),
            ("binary cross-entropy and IoU", _SOD.format(""), 160000),
        ],
    ),
]

#: ``cpu`` and ``gpu`` scale the schedule; ``paper`` is as published.
BUDGETS = {
    "cpu": dict(
        seeds=(0, 1, 2),
        tables=_tables(
            1000, 250, 1000, ["train_dataloader.dataset.pipeline.3.crop_size=(192,192)"]
        ),
    ),
    "gpu": dict(seeds=(0, 1, 2), tables=_tables(4000, 4000, 5000, [])),
    "paper": dict(seeds=(0,), tables=_PAPER),
}
