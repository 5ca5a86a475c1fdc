"""Every config of small targets builds, takes two steps, predicts at native size and is scored."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import SMALL_ENCODERS, evaluate, marked, run_tool, train
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image

REPO = Path(__file__).resolve().parent.parent
FOLDER = REPO / "configs" / "irstd"
CONFIGS = sorted(path.name for path in FOLDER.glob("*.py"))
PRETRAINED = sorted(name for name in CONFIGS if re.match("infmae|mae|mcmae|um-mae", name))
INFMAE = "infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"
SYNTHETIC = "scratch_convvit-tiny_unet_1xb8-4k_synthetic-64x64.py"
CROP = (64, 64)
SIZE = (60, 90)  # of the images, which neither 16 nor 32 divides
SMALL = {
    **SMALL_ENCODERS,
    "UNet": (dict(base_channels=16), {64: 16, 16: 16}),
}


def shrink(model: ConfigDict) -> None:
    """The model of a config with the same topology and few channels."""
    settings, widths = SMALL[model.backbone.type]
    model.backbone.update(settings)
    if "neck" in model:
        model.neck.embed_dim = widths[model.neck.embed_dim]
    for head in filter(None, (model.get("decode_head"), model.get("auxiliary_head"))):
        several = isinstance(head.in_channels, list)
        given = [widths[w] for w in (head.in_channels if several else [head.in_channels])]
        head.update(in_channels=given if several else given[0], channels=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """Three images a split with a target each, in the layout of each data set."""
    layouts = {
        "mmspec.IRSTD1kDataset": ("IRSTD1k_Img", "IRSTD1k_Label/{}.png", "{}.txt"),
        "mmspec.NUAASIRSTDataset": ("images", "masks/{}_pixels0.png", "50_50/{}.txt"),
        "mmspec.NUDTSIRSTDataset": ("images", "masks/{}.png", "50_50/{}.txt"),
        "mmspec.SIRSTv2Dataset": (
            "mixed", "annotations/masks/{}_pixels0.png", "splits/{}_full.txt"
        ),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    roots = {}
    for dataset, (images, masks, names) in layouts.items():
        root = roots[dataset] = tmp_path_factory.mktemp(dataset.removeprefix("mmspec."))
        for split in ("train", "trainval", "test"):
            listed = [f"{split}{i}" for i in range(3)]
            for i, name in enumerate(listed):
                image = rng.integers(0, 100, SIZE, dtype=np.uint8)
                mask = np.zeros(SIZE, np.uint8)
                mask[20 : 23 + i, 30:33] = 255
                image[mask > 0] = 250
                for path, pixels in (
                    (root / images / f"{name}.png", image),
                    (root / masks.format(name), mask),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(pixels).save(path)
            text = root / names.format(split)
            text.parent.mkdir(exist_ok=True)
            text.write_text("\n".join(listed))
    return roots


def read(name: str) -> Config:
    return Config.fromfile(FOLDER / name)


def load(name: str, data: dict[str, Path]) -> Config:
    cfg = read(name)
    shrink(cfg.model)
    cfg.model.data_preprocessor.size = CROP
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = min(loader.batch_size, 2)
        if loader.dataset.type == "mmspec.SyntheticInfrared":
            loader.dataset.update(length=3, size=SIZE)
        else:
            loader.dataset.data_root = str(data[loader.dataset.type])
        for step in loader.dataset.pipeline:
            if "crop_size" in step:
                step.crop_size = CROP
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


@pytest.mark.parametrize("name", marked(CONFIGS, INFMAE))
def test_takes_two_steps_and_predicts(name, data):
    cfg = load(name, data)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    np.random.seed(0)
    model = MODELS.build(cfg.model)
    _, batch = train(cfg, model)
    assert batch["inputs"].shape == (2, len(cfg.model.data_preprocessor.mean), *CROP)
    metrics, outputs = evaluate(cfg, model)
    for output in outputs:
        # Padded for the network, scored at the size of the file.
        assert output.pad_shape[:2] == (64, 96)
        assert output.seg_logits.data.shape == output.gt_sem_seg.data.shape == (1, *SIZE)
    assert list(metrics) == ["IoU", "nIoU", "F1", "Pd", "Fa", "AUC"]
    assert all(math.isfinite(value) for value in metrics.values())
    assert model.decode_head.threshold == 0.5


@pytest.mark.parametrize("name", PRETRAINED)
def test_starts_from_the_pretraining_config_it_names(name, data, tmp_path):
    cfg = load(name, data)
    work_dir, file = Path(cfg.model.backbone.init_cfg.checkpoint).parts[-2:]
    pretraining = Config.fromfile(REPO / "configs" / "pretrain" / f"{work_dir}.py")
    assert file == f"epoch_{pretraining.train_cfg.max_epochs}.pth"
    norm = cfg.model.data_preprocessor
    assert (norm.mean, norm.std) == tuple(
        pretraining.model.data_preprocessor[key] for key in ("mean", "std")
    )

    init_default_scope(pretraining.default_scope)
    encoder = ConfigDict(backbone=pretraining.model.backbone)
    encoder.backbone.update(SMALL[encoder.backbone.type][0])
    torch.manual_seed(0)
    encoder = MODELS.build(encoder.backbone)
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / file)

    init_default_scope(cfg.default_scope)
    cfg.model.backbone.init_cfg.checkpoint = str(tmp_path / file)
    model = MODELS.build(cfg.model)
    model.init_weights()
    new = getattr(model.backbone, "new_at_fine_tuning", ())
    for key, value in model.backbone.state_dict().items():
        if key.split(".")[0] not in new:
            assert torch.equal(value, state[f"backbone.{key}"]), key


def test_scratch_configs_differ_by_the_weights_alone():
    names = [name for name in CONFIGS if name.startswith("scratch") and name != SYNTHETIC]
    assert len(names) == 2
    for name in names:
        scratch, pretrained = (read(n).to_dict() for n in (name, name.replace("scratch", "infmae")))
        assert scratch["model"]["backbone"].pop("init_cfg") is None
        assert pretrained["model"]["backbone"].pop("init_cfg")
        assert scratch == pretrained


def test_schedules_crops_and_batches_are_those_of_the_names():
    for name in CONFIGS:
        cfg = read(name)
        batch, thousands, height, width = map(
            int, re.search(r"_1xb(\d+)-(\d+)k_[\w-]+-(\d+)x(\d+)", name).groups()
        )
        assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch, name
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 1000 * thousands, name
        if len(cfg.param_scheduler) == 2:
            assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin
        (crop,) = (s for s in cfg.train_dataloader.dataset.pipeline if "crop_size" in s)
        assert tuple(crop.crop_size) == (height, width), name
        assert tuple(cfg.model.data_preprocessor.size) == (height, width), name


def test_tests_are_at_native_size_and_on_other_images():
    for name in CONFIGS:
        cfg = read(name)
        train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
        assert cfg.val_dataloader == cfg.test_dataloader
        assert not any("Resize" in s.type or "Crop" in s.type for s in test.pipeline), name
        assert not any("Resize" in s.type for s in train.pipeline), name
        assert cfg.test_dataloader.batch_size == 1
        assert train.type == test.type
        key = "seed" if train.type == "mmspec.SyntheticInfrared" else "split"
        assert train[key] != test[key], name
        assert cfg.test_evaluator.type == "mmspec.SmallTargetMetric"
        assert cfg.default_hooks.visualization.type == "mmspec.SmallTargetPictureHook"


def test_every_row_of_table_3_has_a_config():
    encoders = ("scratch_convvit-base", "mae_vit-base", "um-mae_swin-tiny", "mcmae_convvit-base")
    expected = {f"{encoder}_unet" for encoder in (*encoders, "infmae_convvit-base")}
    expected |= {"infmae_convvit-base_upernet", "unet-s5_fcn"}
    assert {n.split("_1xb")[0] for n in CONFIGS if "irstd1k" in n} == expected


def test_recipe_of_the_paper():
    cfg = read(INFMAE)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert cfg.model.backbone.drop_path_rate == 0.2
    assert cfg.param_scheduler[0].end == 1500


def test_full_size_model_of_the_paper():
    cfg = read(INFMAE)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    assert list(model.backbone.out_channels) == cfg.model.decode_head.in_channels
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model.backbone, model.decode_head)]
    assert sizes[0] > 80e6 and sizes[1] < 0.5e6  # a light decoder
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 32, 48)).shape == (1, 1, 32, 48)


def test_trains_and_draws_by_the_tools(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        f"""
_base_ = "{FOLDER / SYNTHETIC}"
arch = dict(_delete_=True, **{SMALL["mmspec.ConvViT"][0]["arch"]})
model = dict(backbone=dict(arch=arch), decode_head=dict(in_channels=[8, 16, 32]))
here = dict(num_workers=0, persistent_workers=False, dataset=dict(length=4))
train_dataloader = here
val_dataloader = here
test_dataloader = here
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
"""
    )
    run_tool("train", config, "--work-dir", tmp_path)
    assert not (tmp_path / "small_targets").exists()  # validations are not drawn
    shown, numbers = tmp_path / "shown", tmp_path / "numbers.json"
    weights = tmp_path / "iter_2.pth"
    options = ["--work-dir", tmp_path, "--out", numbers, "--show-dir", shown]
    run_tool("test", config, weights, *options)
    assert list(json.loads(numbers.read_text())) == ["IoU", "nIoU", "F1", "Pd", "Fa", "AUC"]
    assert len(list(shown.glob("000*.png"))) == 4 and (shown / "roc.png").is_file()


def test_own_data_as_the_page_on_data_says(tmp_path):
    page = (FOLDER.parents[1] / "docs" / "data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    (text,) = (block for block in blocks if "mmspec.SmallTargetDataset" in block)
    text = text.replace('"./', f'"{FOLDER}/').replace("data/mine", str(tmp_path))
    (tmp_path / "config.py").write_text(text)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(split)
        deep = np.arange(2000, 4400, dtype=np.uint16).reshape(40, 60)
        Image.fromarray(deep).save(tmp_path / "images" / f"{split}.png")
        mask = np.zeros((40, 60), np.uint8)
        mask[10:12, 20:23] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{split}.png")
    cfg = Config.fromfile(tmp_path / "config.py")
    init_default_scope(cfg.default_scope)
    for loader, counted in ((cfg.train_dataloader, {0, 1, 255}), (cfg.test_dataloader, {0, 1})):
        loader.update(num_workers=0, persistent_workers=False)
        (sample,) = Runner.build_dataloader(loader).dataset
        assert set(sample["data_samples"].gt_sem_seg.data.unique().tolist()) == counted
