"""A model of each kind that is predicted with, from the project's own small configs, untrained."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmspec.apis import Predictor
from mmspec.engine.launch import read_config

REPO = Path(__file__).resolve().parents[1]
TINY = ["model.backbone.arch=tiny", "model.neck.in_channels=[48,96,224,224]"]
HIT_UAV = [
    "test_dataloader.dataset.type=mmspec.HITUAVDataset",
    "test_dataloader.dataset.split=val",
    "model.roi_head.bbox_head.num_classes=4",
    "model.roi_head.mask_head.num_classes=4",
]
SMALL_IMAGES = ["test_dataloader.dataset.pipeline.1.scale=(160,128)"]
EVERY_BOX = ["model.test_cfg.rcnn.score_thr=0.0", "model.test_cfg.rcnn.max_per_img=9"]


@dataclass(frozen=True)
class Case:
    """A config below ``configs``, and settings that make it quick."""

    config: str
    options: list[str] = field(default_factory=list)
    pairs: bool = False
    task: str | None = None


EYE = "seg/infmae_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"
CASES = {
    "segmentation": Case(EYE),
    "detection": Case(
        "det/infmae_convvit-tiny_faster-rcnn_1xb4-1k_hit-uav-512x640.py", SMALL_IMAGES + EVERY_BOX
    ),
    "detection with masks": Case(
        "det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py",
        HIT_UAV + TINY + SMALL_IMAGES + EVERY_BOX,
    ),
    "small targets": Case("irstd/scratch_convvit-tiny_unet_1xb8-1k_sirstv2-128x128.py"),
    "saliency": Case(
        "sod/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-saliency-128x128.py", [], True
    ),
    "RGB-thermal segmentation": Case(
        "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py", [], True
    ),
    "RGB-thermal detection": Case(
        "det/mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py", SMALL_IMAGES + EVERY_BOX, True
    ),
    "reconstruction": Case("pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"),
    "reconstruction of pairs": Case(
        "pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py", [], True
    ),
    "matching": Case("matching/mspecgene_vit-tiny_matching-head_1xb8-1k_roadscene.py", [], True),
    "features": Case(EYE, task="features"),
    "features of pairs": Case(
        "pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py", [], True, "features"
    ),
}


def saved(case: Case, folder: Path) -> tuple[Config, Path]:
    """The config of a case, and a checkpoint of random weights."""
    cfg = read_config(str(REPO / "configs" / case.config), case.options)
    path = folder / f"{Path(case.config).stem}.pth"
    if not path.is_file():
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
            dataset = (cfg.test_dataloader or cfg.train_dataloader).dataset
            classes = getattr(DATASETS.get(dataset.type), "METAINFO", {}).get("classes")
        if "labels" in dataset and "synthetic-saliency" in case.config:  # of rendered scenes
            classes = ("background", "salient")
        meta = dict(dataset_meta=dict(classes=classes)) if classes else {}
        torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return cfg, path


def predictor_of(case: Case, folder: Path) -> Predictor:
    return Predictor(*saved(case, folder), device="cpu", task=case.task)
