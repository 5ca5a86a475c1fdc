"""Every config of two modalities builds, takes two small steps and predicts; with one, too."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import evaluate, marked, train
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, set_random_seed
from PIL import Image

import mmspec.models  # noqa: F401  (stands in for mmcv's operators before mmdet asks for them)

pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

REPO = Path(__file__).resolve().parent.parent
DET = sorted(p.name for p in (REPO / "configs" / "det").glob("mspecgene*.py"))
SEG = sorted(p.name for p in (REPO / "configs" / "seg").glob("mspecgene*.py"))
FLIR = "mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py"
KAIST = FLIR.replace("flir", "kaist")
TINY_DET = "mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"
SEMANTICRT = "mspecgene_vit-base_upernet_1xb2-320k_semanticrt-768x768.py"
MSRS_SEG = SEMANTICRT.replace("semanticrt", "msrs")
TINY_SEG = "mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py"
SIZE = (96, 128)  # height, width
CROP = (64, 64)
DIMS = 32
VIT = dict(embed_dims=DIMS, num_layers=12, num_heads=2, feedforward_channels=32)
DET_DATA = {
    "mmspec.FLIRDataset": (("person", "bicycle", "car"), "ir", "vi"),
    "mmspec.LLVIPDataset": (("person",), "ir", "vi"),
    "mmspec.M3FDDataset": (("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"), "ir", "vi"),
    "mmspec.KAISTDataset": (
        ("person",), "images/set06/V000/lwir", "images/set06/V000/visible"
    ),
    "mmspec.MSRSDetDataset": (("person", "bicycle", "car"), "MSRS/{}/ir", "MSRS/{}/vi"),
}  # fmt: skip
SEG_DATA = {
    "mmspec.SemanticRTDataset": ("thermal", "rgb", "labels", 13),
    "mmspec.MVSEGDataset": ("data/a/infrared", "data/a/visible", "data/a/label", 26),
    "mmspec.FMBDataset": ("{}/Infrared", "{}/Visible", "{}/Label", 15),
    "mmspec.MFNetDataset": (None, "images", "labels", 9),
    "mmspec.PST900Dataset": ("{}/thermal", "{}/rgb", "{}/labels", 5),
    "mmspec.MSRSDataset": ("{}/ir", "{}/vi", "{}/Segmentation_labels", 9),
}
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """Two pairs a split of every data set, in its layout."""
    roots = {}
    for dataset, (classes, infrared, visible) in DET_DATA.items():
        root = roots[dataset] = tmp_path_factory.mktemp(dataset.removeprefix("mmspec."))
        for split in SPLITS:
            _write_det(root, split, classes, infrared.format(split), visible.format(split))
    for dataset, (infrared, visible, labels, num_classes) in SEG_DATA.items():
        root = roots[dataset] = tmp_path_factory.mktemp(dataset.removeprefix("mmspec."))
        for split in SPLITS:
            _write_seg(root, split, infrared, visible, labels, num_classes)
    return roots


def _write_det(root: Path, split: str, classes: tuple, infrared: str, visible: str) -> None:
    msrs = "MSRS" in infrared
    categories = [dict(id=i, name=name) for i, name in enumerate(classes)]
    content = dict(images=[], annotations=[], categories=categories)
    for i in range(2):
        name = f"I0000{SPLITS.index(split)}{i}.png".replace("I00000", "I0000")
        files = [name if msrs else f"{folder}/{name}" for folder in (infrared, visible)]
        content["images"].append(
            dict(id=i, file_name=files[0], visible_file_name=files[1], width=128, height=96)
        )
        gray, colours = _pictures(i)
        for j, (x, y) in enumerate(((10 + 10 * i, 20), (60, 30))):
            gray[y : y + 60, x : x + 30] = 200
            colours[y : y + 60, x : x + 30, 0] = 220
            content["annotations"].append(
                dict(
                    id=10 * i + j + 1,
                    image_id=i,
                    category_id=j % len(classes),
                    bbox=[x, y, 30, 60],
                    area=1800,
                    iscrowd=0,
                    occlusion=0,
                )
            )
        _save(root / infrared / name, gray)
        _save(root / visible / name, colours)
    file = root / "annotations" / f"{'fusion_' if msrs else ''}{split}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def _write_seg(
    root: Path, split: str, infrared: str | None, visible: str, labels: str, num_classes: int
) -> None:
    letters = "ivl" if "/a/" in visible else ("", "", "")
    names = [f"{split}{i}" for i in range(2)]
    for i, name in enumerate(names):
        gray, colours = _pictures(i)
        label = np.arange(96 * 128).reshape(96, 128) // 512 % num_classes
        if infrared is None:
            colours = np.dstack([colours, gray])
        else:
            _save(root / infrared.format(split) / f"{name}{letters[0]}.png", gray)
        _save(root / visible.format(split) / f"{name}{letters[1]}.png", colours)
        _save(root / labels.format(split) / f"{name}{letters[2]}.png", label.astype(np.uint8))
    # MVSeg lists videos; its one serves all splits here.
    (root / f"{split}.txt").write_text("a\n" if "/a/" in visible else "\n".join(names))


def _pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(1, 80, shape, dtype=np.uint8) for shape in (SIZE, (*SIZE, 3)))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def load(name: str, data: dict[str, Path]) -> Config:
    """A config with a small encoder and small images."""
    task = "det" if name in DET else "seg"
    cfg = Config.fromfile(REPO / "configs" / task / name)
    pair = cfg.model.backbone.type == "mmspec.RGBTBackbone"
    encoder = cfg.model.backbone.backbone if pair else cfg.model.backbone
    encoder.arch = dict(VIT, num_layers=encoder.arch.num_layers) if "tiny" in name else dict(VIT)
    dims = 2 * DIMS if pair else DIMS
    if task == "det":
        encoder.arch.global_attn_indexes = [2]
        encoder.update(img_size=64, window_size=3)
        cfg.model.neck.in_channels = dims
        cfg.model.data_preprocessor.pad_size_divisor = 32
        cfg.model.roi_head.bbox_head.fc_out_channels = 32
        for settings in (cfg.model.train_cfg.rpn_proposal, cfg.model.test_cfg.rpn):
            settings.update(nms_pre=50, max_per_img=20)
    else:
        cfg.model.neck.embed_dim = dims
        cfg.model.decode_head.update(in_channels=[dims] * 4, channels=16)
        cfg.model.auxiliary_head.update(in_channels=dims, channels=16)
        cfg.model.data_preprocessor.size = CROP
        if cfg.model.test_cfg.mode == "slide":
            cfg.model.test_cfg.update(crop_size=CROP, stride=(40, 40))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if loader.dataset.type == "mmspec.SyntheticInfrared":
            loader.dataset.update(length=2, size=CROP)
        else:
            loader.dataset.data_root = str(data[loader.dataset.type])
        for step in loader.dataset.pipeline:
            if "scale" in step:
                step.scale = (SIZE[1], SIZE[0]) if task == "det" else (4 * CROP[1], CROP[0])
            if "crop_size" in step:
                step.crop_size = CROP
    if name == KAIST:
        cfg.test_evaluator[1].ann_file = f"{data['mmspec.KAISTDataset']}/annotations/test.json"
    return cfg


def train_a_model(cfg: Config) -> tuple[torch.nn.Module, dict]:
    """Two steps of training: the model, and the names of its losses."""
    init_default_scope(cfg.default_scope)
    set_random_seed(0)
    model = MODELS.build(cfg.model)
    return model, train(cfg, model)[0]


@pytest.mark.parametrize("name", marked(DET, FLIR))
def test_detector_trains_and_predicts(name, data):
    cfg = load(name, data)
    model, logs = train_a_model(cfg)
    assert ("loss_mask" in logs) == ("mask-rcnn" in name)
    metrics, _ = evaluate(cfg, model)
    classes = DET_DATA[cfg.train_dataloader.dataset.type][0]
    assert {"mAP", "AP50", *(f"AP50/{c}" for c in classes)} <= set(metrics)
    assert model.roi_head.bbox_head.num_classes == len(classes)
    if "kaist" in name:
        assert {f"MR/Reasonable/{time}" for time in ("All", "Day", "Night")} <= set(metrics)
        assert 0 <= metrics["MR/Reasonable/All"] <= 100


@pytest.mark.parametrize("name", marked(SEG, TINY_SEG))
def test_segmentor_trains_and_predicts(name, data):
    cfg = load(name, data)
    model, _ = train_a_model(cfg)
    metrics, outputs = evaluate(cfg, model)
    size = CROP if "synthetic" in name else SIZE
    assert all(tuple(o.pred_sem_seg.data.shape) == (1, *size) for o in outputs)
    assert {"mIoU", "mAcc"} <= set(metrics)
    loader = Runner.build_dataloader(cfg.test_dataloader)
    assert model.decode_head.num_classes == len(loader.dataset.metainfo["classes"])
    assert model.auxiliary_head.num_classes == model.decode_head.num_classes


@pytest.mark.parametrize("name", [TINY_DET, MSRS_SEG, TINY_SEG])
@pytest.mark.parametrize("modality", ["infrared", "visible"])
def test_a_model_of_pairs_tests_on_one_modality_alone(name, modality, data):
    cfg = load(name, data)
    init_default_scope(cfg.default_scope)
    set_random_seed(0)
    model = MODELS.build(cfg.model).eval()
    cfg.test_dataloader.dataset.modality = modality
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader)))
    assert model.data_preprocessor(batch, False)["inputs"].shape[1] == 3
    assert len(evaluate(cfg, model)[1]) == 2


@pytest.mark.parametrize("name", [FLIR, MSRS_SEG])
def test_trains_with_dropped_and_misaligned_modalities(name, data):
    cfg = load(name, data)
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[-1:-1] = [
        ConfigDict(type="mmspec.MisalignPair", max_shift=2),
        ConfigDict(type="mmspec.DropModality", prob=1.0),
    ]
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    inputs = model.data_preprocessor(batch, True)["inputs"]
    seen = inputs.unflatten(1, (2, 3)).flatten(2).any(dim=2)
    assert seen.sum(dim=1).tolist() == [1, 1]
    train_a_model(cfg)


@pytest.mark.parametrize("fusion", ["sum", "gated"])
def test_other_fusions_and_separate_weights_by_the_command_line(fusion, data):
    cfg = load(TINY_DET, data)
    cfg.merge_from_dict(
        {
            "model.backbone.fusion": fusion,
            "model.backbone.shared": False,
            "model.neck.in_channels": DIMS,
        }
    )
    model, _ = train_a_model(cfg)
    assert set(model.backbone.encoders) == {"infrared", "visible"}


@pytest.mark.parametrize("name", [*DET, *SEG])
def test_starts_from_the_pretraining_config_it_names(name):
    cfg = Config.fromfile(REPO / "configs" / ("det" if name in DET else "seg") / name)
    backbone = cfg.model.backbone
    encoder = backbone.backbone if backbone.type == "mmspec.RGBTBackbone" else backbone
    assert encoder.init_cfg.type == "mmspec.PretrainedEncoder"
    work_dir, file = Path(encoder.init_cfg.checkpoint).parts[-2:]
    pretraining = Config.fromfile(REPO / "configs" / "pretrain" / f"{work_dir}.py")
    assert file == f"epoch_{pretraining.train_cfg.max_epochs}.pth"
    own, other = encoder.arch, pretraining.model.backbone.arch
    if isinstance(own, str):
        assert own == other
    else:
        assert all(own[key] == other[key] for key in VIT)
    init_default_scope(cfg.default_scope)
    norms = [MODELS.build(c.model.data_preprocessor) for c in (cfg, pretraining)]
    assert torch.equal(norms[0].mean, norms[1].mean) and torch.equal(norms[0].std, norms[1].std)


def test_encoder_of_the_tiny_detector_loads_a_pretrained_one(tmp_path):
    pretraining = Config.fromfile(
        REPO / "configs/pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py"
    )
    init_default_scope("mmpretrain")
    encoder = MODELS.build(pretraining.model.backbone)
    encoder.init_weights()
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_40.pth")
    for task, name in (("det", TINY_DET), ("seg", TINY_SEG)):
        cfg = Config.fromfile(REPO / "configs" / task / name)
        init_default_scope(cfg.default_scope)
        cfg.model.backbone.backbone.init_cfg.checkpoint = str(tmp_path / "epoch_40.pth")
        backbone = MODELS.build(cfg.model.backbone)
        backbone.init_weights()
        own = backbone.encoders["both"].state_dict()
        for i in range(6):
            key = f"layers.{i}.ffn.layers.0.0.weight"
            assert torch.equal(own[key], state[f"backbone.{key}"])


@pytest.mark.parametrize("name", [*DET, *SEG])
def test_schedules_and_batches_are_those_of_the_names(name):
    cfg = Config.fromfile(REPO / "configs" / ("det" if name in DET else "seg") / name)
    batch, thousands, height, width = map(
        int, re.search(r"_1xb(\d+)-(\d+)k_[\w-]+?-(\d+)x(\d+)", name).groups()
    )
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * thousands
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval
    assert "save_best" not in cfg.default_hooks.checkpoint
    if name in DET:
        sizes = {tuple(s.scale) for s in cfg.train_dataloader.dataset.pipeline if "scale" in s}
        assert sizes == {(width, height)}
        assert cfg.model.data_preprocessor.pad_size_divisor in (32, height)
    else:
        crops = {tuple(s.crop_size) for s in cfg.train_dataloader.dataset.pipeline
                 if "crop_size" in s}  # fmt: skip
        assert crops == {(height, width)} == {tuple(cfg.model.data_preprocessor.size)}


def test_detection_recipe_of_the_release():
    cfg = Config.fromfile(REPO / "configs" / "det" / FLIR)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.7
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.backbone.arch = dict(VIT, global_attn_indexes=[2, 5, 8, 11])
    cfg.model.neck.in_channels = 2 * DIMS
    model = MODELS.build(cfg.model)
    encoder = model.backbone.encoders["both"]
    assert [i for i, layer in enumerate(encoder.layers) if not layer.window_size] == [2, 5, 8, 11]
    assert encoder.layers[0].window_size == 14 and encoder.layers[0].attn.use_rel_pos
    assert cfg.model.backbone.backbone.drop_path_rate == 0.1
    box, mask = model.roi_head.bbox_head, model.roi_head.mask_head
    assert (len(box.shared_convs), len(box.shared_fcs)) == (4, 1)
    assert len(model.rpn_head.rpn_conv) == 2
    norms = [conv.norm for conv in (*box.shared_convs, *mask.convs)]
    assert all(isinstance(norm, torch.nn.LayerNorm) for norm in norms) and len(norms) == 8
    assert cfg.train_dataloader.dataset.box_masks


def test_segmentation_recipe_of_the_release():
    cfg = Config.fromfile(REPO / "configs" / "seg" / SEMANTICRT)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.65
    assert cfg.model.backbone.backbone.out_indices == (3, 5, 7, 11)
    assert cfg.model.decode_head.in_channels == [1536] * 4
    assert cfg.model.decode_head.channels == 768
    assert cfg.model.auxiliary_head.loss_decode.loss_weight == 0.4
    assert cfg.model.test_cfg.to_dict() == dict(
        mode="slide", crop_size=(768, 768), stride=(341, 341)
    )
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 1500
    assert cfg.param_scheduler[1].type == "PolyLR"


def test_real_pairs_against_each_image_alone_share_their_truth(data_root):
    truths = []
    for name in (TINY_DET, *(n for n in DET if "infrared" in n or "visible" in n)):
        cfg = Config.fromfile(REPO / "configs" / "det" / name)
        init_default_scope(cfg.default_scope)
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(data_root / "msrs_det")
            loader.update(num_workers=0, persistent_workers=False)
        batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
        model = MODELS.build(cfg.model.data_preprocessor)
        channels = 3 if "-infrared-" in name or "-visible-" in name else 6
        assert model(batch, True)["inputs"].shape[:2] == (4, channels)
        test = Runner.build_dataloader(cfg.test_dataloader).dataset
        truths.append([test.get_data_info(i)["instances"] for i in range(len(test))])
    assert len(truths) == 3 and truths[0] == truths[1] == truths[2]
    assert len(truths[0]) == 14
