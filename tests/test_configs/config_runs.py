"""What the tests of configs do with each of them: read, make small, train, score."""

import copy
import functools
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from layouts import BOX_LAYOUTS, LAYOUTS, write_any
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmengine.visualization import Visualizer

import mmspec  # noqa: F401  (stands in for mmcv's operators before mmdet asks for them)
from mmspec.engine import HeadClassesHook
from mmspec.models.backbones.conv_vit import resolve_arch
from mmspec.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
ROOT = REPO / "configs"
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("[!_]*/*.py"))
SPLITS = ("train", "trainval", "val", "test", "Train", "Test")

PAPER = "pretrain/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
MAE = PAPER.replace("infmae_convvit", "mae_vit")
MSPECGENE = "pretrain/mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k.py"
WHOLE = (PAPER, MAE, MSPECGENE)  # one of each algorithm runs at its real size

CONV_VIT = dict(embed_dims=(8, 16, 32), depths=(1, 1, 3), num_heads=2, mlp_ratios=(2, 2, 2))
VIT = dict(embed_dims=32, num_heads=2, feedforward_channels=32)
VIT_WIDTHS = {"base": 768, "b": 768, "deit-small": 384, "deit-tiny": 192}


def of_folder(*folders: str) -> list[str]:
    return [name for name in CONFIGS if name.startswith(tuple(f"{f}/" for f in folders))]


def marked(names: list[str], *both: str) -> list:
    """Parameters of a test, of which the named ones run on both stacks of mm packages."""
    assert set(both) <= set(names)
    return [pytest.param(n, marks=pytest.mark.stack) if n in both else n for n in names]


@functools.cache
def _parsed(name: str) -> Config:
    return Config.fromfile(ROOT / name)


def read(name: str) -> Config:
    """A config by its path below ``configs/``, to be changed at will."""
    return copy.deepcopy(_parsed(name))


def walk(node) -> Iterator[dict]:
    """Every dictionary within a part of a config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from walk(child)


def is_pair(cfg: Config) -> bool:
    return cfg.model.backbone.type == "mmspec.RGBTBackbone"


def encoder_of(cfg: Config) -> ConfigDict:
    """The backbone, or the one that a backbone of pairs wraps."""
    return cfg.model.backbone.backbone if is_pair(cfg) else cfg.model.backbone


def checkpoint_of(cfg: Config) -> str | None:
    """The checkpoint of a pre-training that a config starts from."""
    start = encoder_of(cfg).get("init_cfg") or {}
    return start.checkpoint if start.get("type") == "mmspec.PretrainedEncoder" else None


def shrink_encoder(encoder: ConfigDict) -> dict[int, int]:
    """Make an encoder small, of the same topology; widths of its maps before and after."""
    kind = encoder.type.rpartition(".")[2]
    if kind == "ConvViT":
        before = resolve_arch(encoder.arch)["embed_dims"]
        encoder.arch = dict(CONV_VIT)
        return dict(zip(before, CONV_VIT["embed_dims"]))
    if kind in ("MaskedViT", "MAEViT", "ViTSAM"):
        named = isinstance(encoder.arch, str)
        before = VIT_WIDTHS[encoder.arch] if named else encoder.arch.embed_dims
        layers = 12 if named else encoder.arch.num_layers
        encoder.arch = dict(VIT, num_layers=layers)
        if kind == "ViTSAM":
            encoder.arch = dict(VIT, num_layers=3, global_attn_indexes=[1])
            encoder.update(img_size=64, window_size=3)
        return {before: VIT["embed_dims"]}
    settings, widths = {
        "MaskedSwin": (
            dict(arch=dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 3, 4])),
            {96: 12, 192: 24, 384: 48, 768: 96},
        ),
        "ResNet": (dict(base_channels=4), {256: 16, 512: 32, 1024: 64, 2048: 128}),
        "ResNetV1c": (dict(base_channels=8), {256: 32, 512: 64, 1024: 128, 2048: 256}),
        "SwinTransformer": (
            dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], convert_weights=False),
            {192: 12, 384: 24, 768: 48, 1536: 96},
        ),
        "DDRNet": (dict(channels=8, ppm_channels=8), {256: 32}),
        "UNet": (
            dict(base_channels=16),
            {encoder.get("base_channels", 64) * times: 16 * times for times in (1, 2, 4, 8)},
        ),
        "DenseNestedUNet": (dict(channels=(16, 4, 4, 8, 8), blocks=(1,) * 5), {16: 16}),
    }[kind]
    encoder.update(settings)
    if kind == "MaskedSwin" and encoder.get("pretraining"):
        encoder.token_dims = 48  # of its tokens at 1/16, named apart from its stages
    return widths


def shrink(cfg: Config) -> None:
    """Make the model of a fine-tuning small; a width that is none of its encoder's is an error."""
    model = cfg.model
    times = 2 if is_pair(cfg) else 1
    widths = {times * old: times * new for old, new in shrink_encoder(encoder_of(cfg)).items()}
    if checkpoint_of(cfg) is None:
        encoder_of(cfg).init_cfg = None

    def narrow(given):
        return [widths[w] for w in given] if isinstance(given, list) else widths[given]

    neck = model.get("neck") or {}
    for key in {"in_channels", "embed_dim"} & set(neck):
        neck[key] = narrow(neck[key])
    auxiliary = model.get("auxiliary_head") or []
    auxiliary = auxiliary if isinstance(auxiliary, list) else [auxiliary]
    for head in filter(None, (model.get("decode_head"), *auxiliary)):
        # A neck keeps the one width, or the heads read the encoder's own maps.
        head.in_channels = narrow(head.in_channels)
        if "channels" in head:
            head.channels = head.in_channels if head.get("num_convs") == 0 else 16
        if "c1_in_channels" in head:
            head.update(c1_in_channels=widths[head.c1_in_channels], c1_channels=8)
    if model.type == "mmspec.PairMatcher":
        model.head.update(in_channels=narrow(list(model.head.in_channels)), channels=16)
    for part in walk(model):
        if "fc_out_channels" in part:
            part.fc_out_channels = 32
        if "nms_pre" in part and "score_thr" not in part:  # proposals
            part.update(nms_pre=50, max_per_img=20)
    for part in walk(model.get("test_cfg") or {}):  # each would get a mask
        if "max_per_img" in part:
            part.max_per_img = min(part.max_per_img, 10)
    if model.type == "SparseRCNN":  # two stages of six, twenty proposals
        model.rpn_head.num_proposals = 20
        head = model.roi_head
        head.update(num_stages=2, stage_loss_weights=[1, 1], bbox_head=head.bbox_head[:2])
        model.train_cfg.rcnn = model.train_cfg.rcnn[:2]
    if model.type in ("DETR", "DINO"):
        model.num_queries = 60
        model.encoder.num_layers = model.decoder.num_layers = 2


class TinyData:
    """Three samples a split of any data set, written when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, dataset: str) -> Path:
        name = dataset.removeprefix("mmspec.")
        root = self.root / name
        if not root.exists():
            write_any(root, name, SPLITS)
            for listed in ("inf10", "inf15", "in1k-30"):  # of pre-training
                (root / f"{listed}.txt").write_text("train0.png\ntrain1.png\ntrain2.png\n")
        return root

    def fill(self, loader: ConfigDict) -> None:
        """Let a loader read two tiny images at a time in this process."""
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = min(loader.batch_size, 2)
        for dataset in loader.dataset.get("datasets", [loader.dataset]):
            kind = dataset.type.removeprefix("mmspec.")
            if kind == "SyntheticInfrared":
                dataset.length = 3
            elif kind == "RGBTFolder" and dataset.infrared == "cropinfrared":
                dataset.data_root = str(self("RoadSceneMatchingDataset"))
            else:
                assert kind in LAYOUTS or kind in BOX_LAYOUTS, f"no tiny layout of {kind}"
                dataset.data_root = str(self(kind))


def without_gpu(cfg: Config) -> None:
    if cfg.optim_wrapper.type == "mmspec.AmpOptimWrapper":  # needs a GPU
        cfg.optim_wrapper.type = "OptimWrapper"


def load(name: str, data: TinyData) -> Config:
    """A fine-tuning with a small model on small images."""
    cfg = read(name)
    without_gpu(cfg)
    shrink(cfg)
    detection = name.startswith("det/")
    crop = (64, 64) if is_pair(cfg) or name.startswith("irstd/") else (64, 96)
    # The shorter side counts where a config scales by it.
    scale = (128, 96) if detection else (4 * crop[1], crop[0]) if is_pair(cfg) else crop[::-1]
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        data.fill(loader)
        for dataset in loader.dataset.get("datasets", [loader.dataset]):
            if dataset.type == "mmspec.SyntheticInfrared":
                dataset.size = crop if is_pair(cfg) else (60, 90)
        for step in walk(loader.dataset):
            if "scale" in step and step.get("type") in ("Resize", "RandomResize"):
                step.scale = scale
            if step.get("type") == "RandomChoiceResize":
                step.scales = [scale]
            if "crop_size" in step:
                absolute = step.get("crop_type") == "absolute"
                step.crop_size = scale if absolute else (64, 96) if detection else crop
    if detection:
        cfg.model.data_preprocessor.pad_size_divisor = 32
    else:
        cfg.model.data_preprocessor.size = crop
        if cfg.model.test_cfg.mode == "slide":
            cfg.model.test_cfg.update(crop_size=crop, stride=(40, 40))
    return cfg


def pretraining(name: str, data: TinyData) -> Config:
    """A pre-training of two tiny images a step, with a small model unless it is to run whole."""
    cfg = read(name)
    for loader in (cfg.train_dataloader, cfg.get("test_dataloader")):
        if loader:
            data.fill(loader)
    without_gpu(cfg)
    cfg.model.backbone.init_cfg = None
    if name not in WHOLE:
        widths = shrink_encoder(cfg.model.backbone)
        neck = cfg.model.neck
        for target in walk(cfg.model.head.get("targets")):
            if "teacher" in target:  # its file is the user's
                target.teacher = dict(
                    type="mmspec.ConvViT",
                    arch=CONV_VIT,
                    init_cfg=dict(type="Xavier", layer="Linear"),
                )
            if target.get("type") in ("mmspec.MovingAverageTarget", "mmspec.TeacherTarget"):
                neck.out_dims = CONV_VIT["embed_dims"][-1]
        key = "in_dims" if "in_dims" in neck else "embed_dim"
        neck[key] = widths[neck[key]]
        if "in_dims" in neck:
            neck.update(dims=32, num_heads=2)
        else:
            neck.update(decoder_embed_dim=32, decoder_num_heads=2)
    return cfg


def build(cfg: Config) -> torch.nn.Module:
    """The model from random weights, the same each time."""
    init_default_scope(cfg.default_scope)
    set_random_seed(0)
    cfg = copy.deepcopy(cfg)
    encoder_of(cfg).init_cfg = None
    model = MODELS.build(cfg.model)
    model.init_weights()  # mmdet leaves some weights as the memory was
    return model


def train(cfg: Config, model: torch.nn.Module) -> tuple[dict, dict]:
    """Two steps of training: the last losses by name and the last batch that the model saw."""
    model.train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    loader = Runner.build_dataloader(cfg.train_dataloader)
    run = SimpleNamespace(model=model, train_dataloader=loader, val_loop=None)
    HeadClassesHook().before_train(run)
    batches = iter(loader)
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for _ in range(2):
        batch = model.data_preprocessor(next(batches), True)
        loss, logs = model.parse_losses(model(**batch, mode="loss"))
        assert torch.isfinite(loss)
        loss.backward()
        # Distributed training then needs no find_unused_parameters.
        assert [n for n, p in learning.items() if p.grad is None] == []
        before = {n: p.detach().clone() for n, p in learning.items()}
        optim_wrapper.step()
        optim_wrapper.zero_grad()
        assert any(not torch.equal(p, before[n]) for n, p in learning.items())
    model.eval()
    return logs, batch


def evaluate(cfg: Config, model: torch.nn.Module) -> tuple[dict, list]:
    """Metrics of the config's test, and its predictions."""
    loader = Runner.build_dataloader(cfg.test_dataloader)
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    outputs = []
    for batch in loader:
        with torch.no_grad():
            outputs += model.test_step(batch)
        evaluator.process(outputs[-len(batch["inputs"]) :], batch)
    return evaluator.evaluate(len(loader.dataset)), outputs


def run_tool(monkeypatch, name: str, *args: str | Path) -> None:
    """``tools/NAME.py`` in this process; ``test_tools.py`` starts processes of their own."""
    tool = str(REPO / "tools" / f"{name}.py")
    Visualizer._instance_dict.clear()  # named by the second, and each draws into its own folder
    monkeypatch.setattr(sys, "argv", [tool, *map(str, args)])
    runpy.run_path(tool, run_name="__main__")
