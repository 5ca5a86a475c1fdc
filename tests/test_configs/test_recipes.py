"""What single configs are held against: the papers' recipes, their sizes, the pages on own data."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from config_runs import (
    REPO,
    ROOT,
    VIT,
    build,
    evaluate,
    load,
    of_folder,
    pretraining,
    read,
    shrink,
    train,
)
from layouts import write
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmspec.datasets import UnreadableImageError
from mmspec.engine.launch import merge_options
from mmspec.registry import DATASETS, MODELS

PAPER = "pretrain/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py"
TINY = "pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"
DET = "det/infmae_convvit-base_mask-rcnn_1xb2-260k_m3fd.py"
SEG = "seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py"
EYE = "seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"
IRSTD = "irstd/infmae_convvit-base_unet_1xb2-240k_irstd1k-512x512.py"
FLIR = "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_flir-960x960.py"
TINY_DET = "det/mspecgene_vit-tiny_faster-rcnn_1xb4-1k_msrs-480x640.py"
SEMANTICRT = "seg/mspecgene_vit-base_upernet_1xb2-320k_semanticrt-768x768.py"
MSRS_SEG = SEMANTICRT.replace("semanticrt", "msrs")
TINY_SEG = "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py"
VT5000 = "sod/mspecgene_vit-base_upernet_1xb2-160k_vt5000-768x768.py"
RELEASED = "sod/mspecgene_vit-base_upernet_cross-entropy_1xb2-160k_vt5000-768x768.py"


def test_the_released_masking_is_a_frozen_projection_ascending(data):
    name = PAPER.replace("p16_4xb64", "p16_released-mask_4xb64")
    cfg = pretraining(name, data)
    masker = cfg.model.masker
    assert (masker.score, masker.order, masker.stride) == ("projection", "ascending", 4)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    assert not list(model.masker.parameters())
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    images = model.data_preprocessor(batch, True)["inputs"]
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).sum(1)
    kernel = model.masker.kernel
    assert torch.equal(images[:, 0], images[:, 1])  # three equal channels: one kernel, their sum
    scores = (patches / 3 * kernel.sum(0)).sum((-2, -1)).flatten(1)
    expected = scores.argsort(1)[:, ::4]
    assert torch.equal(model.masker(images).ids_keep.sort(1)[0], expected.sort(1)[0])


def test_no_decay_on_norms_biases_and_tokens(data):
    cfg = pretraining(TINY, data)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            none = parameter.dim() == 1 or name == "neck.mask_token"
            assert group["weight_decay"] == (0 if none else 0.05), name


def test_testing_prints_the_error_on_held_out_images(data, tmp_path):
    cfg = pretraining(TINY, data)
    cfg.work_dir = str(tmp_path)
    cfg.visualizer.vis_backends = []
    runner = Runner.from_cfg(cfg)
    error = runner.test()["reconstruction/loss"]
    batch = next(iter(runner.build_dataloader({**cfg.test_dataloader, "batch_size": 3})))
    data = runner.model.data_preprocessor(batch, False)
    assert error == pytest.approx(runner.model(**data, mode="loss")["loss"].item(), rel=1e-5)


def test_detection_recipe_of_infmae():
    cfg = read(DET)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.8
    assert cfg.param_scheduler[1].type == "CosineAnnealingLR"
    assert cfg.param_scheduler[0].end == 1000
    assert cfg.optim_wrapper.clip_grad.max_norm == 1
    assert cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    assert cfg.model.data_preprocessor.mean == [108.375] * 3
    assert not cfg.model.data_preprocessor.bgr_to_rgb
    crop = next(s for s in cfg.train_dataloader.dataset.pipeline if s.type == "RandomCrop")
    assert crop.crop_size == (1024, 768)
    assert (cfg.model.backbone.window_size, cfg.model.backbone.drop_path_rate) == (14, 0.1)


def test_without_the_mask_branch(data):
    cfg = load(DET, data)
    init_default_scope(cfg.default_scope)
    cfg.model.roi_head.update(mask_head=None, mask_roi_extractor=None)
    cfg.train_dataloader.dataset.box_masks = False
    cfg.train_dataloader.dataset.pipeline[1].with_mask = False
    model = MODELS.build(cfg.model)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    losses = model(**model.data_preprocessor(batch, True), mode="loss")
    assert "loss_mask" not in losses and "loss_bbox" in losses


def test_segmentation_recipe_of_infmae():
    cfg = read(SEG)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert cfg.model.backbone.drop_path_rate == 0.2
    assert cfg.param_scheduler[0].end == 1500


def test_full_size_segmentor_of_infmae():
    cfg = read(SEG)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    assert list(model.backbone.out_channels) == cfg.model.decode_head.in_channels
    encoder = sum(p.numel() for p in model.backbone.parameters())
    # 88,782,208 in pre-training: less its two convolutions and its norm, plus F4's convolution.
    assert encoder == 89_762_944
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 48, 80)).shape == (1, 9, 12, 20)


def test_sliding_windows_cover_a_larger_image(data):
    cfg = load(EYE, data)
    init_default_scope(cfg.default_scope)
    cfg.model.test_cfg = dict(mode="slide", crop_size=(64, 96), stride=(40, 60))
    model = MODELS.build(cfg.model).eval()
    image = torch.randint(0, 256, (3, 100, 170), dtype=torch.uint8)
    with torch.no_grad():
        (output,) = model.test_step(dict(inputs=[image]))
    assert tuple(output.seg_logits.data.shape) == (3, 100, 170)


def test_own_segmentation_data_as_the_page_on_data_says(tmp_path):
    page = (REPO / "docs" / "data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    (text,) = (block for block in blocks if "InfraredSegDataset" in block)
    text = text.replace('"./', f'"{REPO}/configs/seg/').replace("data/mine", str(tmp_path))
    (tmp_path / "config.py").write_text(text)
    for split in ("train", "test"):
        for folder, pixels in (
            ("images", np.arange(2000, 4400, dtype=np.uint16).reshape(40, 60)),
            ("labels", np.where(np.arange(60) < 30, 0, 255)[None].repeat(40, 0).astype(np.uint8)),
        ):
            path = tmp_path / folder / split / "a.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    cfg = Config.fromfile(tmp_path / "config.py")
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        (sample,) = Runner.build_dataloader(loader).dataset
        assert set(sample["data_samples"].gt_sem_seg.data.unique().tolist()) <= {0, 1, 255}
    assert sample["inputs"].min() == 0 and sample["inputs"].max() == 255
    shrink(cfg)
    assert MODELS.build(cfg.model).decode_head.num_classes == 2


def test_small_target_recipe_of_infmae():
    cfg = read(IRSTD)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="mmspec.AdamW", lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert cfg.model.backbone.drop_path_rate == 0.2
    assert cfg.param_scheduler[0].end == 1500


def test_full_size_small_target_model_of_infmae():
    cfg = read(IRSTD)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    assert list(model.backbone.out_channels) == cfg.model.decode_head.in_channels
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model.backbone, model.decode_head)]
    assert sizes[0] > 80e6 and sizes[1] < 0.5e6  # a light decoder
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 32, 48)).shape == (1, 1, 32, 48)


def test_own_small_target_data_as_the_page_on_data_says(tmp_path):
    page = (REPO / "docs" / "data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    (text,) = (block for block in blocks if "mmspec.SmallTargetDataset" in block)
    text = text.replace('"./', f'"{ROOT}/irstd/').replace("data/mine", str(tmp_path))
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


@pytest.mark.parametrize("modality", ["infrared", "visible"])
def test_a_saliency_model_of_pairs_tests_on_one_modality_alone(modality, data):
    cfg = load(VT5000, data)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    for dataset in cfg.test_dataloader.dataset.datasets:
        dataset.modality = modality
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader)))
    assert model.data_preprocessor(batch, False)["inputs"].shape[1] == 3
    assert len(evaluate(cfg, model)[1]) == 12


def test_options_of_the_readme_on_saliency():
    cfg = read(VT5000)
    parts = ["train_dataloader.dataset", "val_dataloader.dataset"]
    parts += [f"test_dataloader.dataset.datasets.{i}" for i in range(4)]
    merge_options(cfg, [f"{part}.modality=infrared" for part in parts])
    merge_options(cfg, ["test_dataloader.dataset.datasets.1.data_root=/disk/VT1000"])
    tested = cfg.test_dataloader.dataset.datasets
    used = [cfg.train_dataloader.dataset, cfg.val_dataloader.dataset, *tested]
    assert {dataset.modality for dataset in used} == {"infrared"}
    assert [dataset.data_root for dataset in tested[:2]] == ["data/VT5000", "/disk/VT1000"]


def test_saliency_recipe_of_mspecgene():
    cfg = read(VT5000)
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.65
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 1500
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert (train.type, train.split, train.modality) == ("mmspec.VT5000Dataset", "Train", "both")
    assert (val.type, val.split) == ("mmspec.VT5000Dataset", "Test")
    tested = cfg.test_dataloader.dataset.datasets
    assert [Path(dataset.data_root).name for dataset in tested] == [
        "VT5000",
        "VT1000",
        "VT821",
        "VI-RGBT1500",
    ]
    assert all(dataset.pipeline == val.pipeline and dataset.test_mode for dataset in tested)
    assert [dataset.modality for dataset in tested] == ["both"] * 4


def test_the_released_saliency_differs_by_head_and_loss_alone():
    ours, released = read(VT5000).to_dict(), read(RELEASED).to_dict()
    for head in ("decode_head", "auxiliary_head"):
        one, two = (cfg["model"][head] for cfg in (ours, released))
        assert (one.pop("out_channels"), two.pop("out_channels")) == (1, 2)
        assert (one.pop("threshold"), two.pop("threshold")) == (0.5, None)
        assert one.pop("loss_decode") != two.pop("loss_decode")
    for cfg in (ours, released):
        for key in ("two_classes", "cross_entropy"):
            cfg.pop(key, None)
    assert ours == released


def test_own_saliency_data_as_the_page_on_data_says(tmp_path):
    page = (REPO / "docs" / "data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    (text,) = (block for block in blocks if "mmspec.SaliencyDataset" in block)
    text = text.replace('"./', f'"{ROOT}/sod/').replace("data/mine", str(tmp_path))
    (tmp_path / "config.py").write_text(text)
    for part in ("train", "test"):
        for folder in ("T", "RGB", "GT"):
            (tmp_path / part / folder).mkdir(parents=True)
            pixels = np.zeros((40, 60, 3) if folder == "RGB" else (40, 60), np.uint8)
            pixels[10:20, 10:30] = 255
            Image.fromarray(pixels).save(tmp_path / part / folder / "a.png")
    cfg = Config.fromfile(tmp_path / "config.py")
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        (sample,) = Runner.build_dataloader(loader).dataset
        assert sample["inputs"].shape[0] == 4
        assert {0, 1} <= set(sample["data_samples"].gt_sem_seg.data.unique().tolist())


def test_one_channel_and_two_have_the_same_gradient_of_cross_entropy():
    """The sigmoid of a difference of two logits is their softmax: only IoU is new."""
    cfg, released = read(VT5000), read(RELEASED)
    init_default_scope(cfg.default_scope)
    bce = MODELS.build(cfg.model.decode_head.loss_decode[0])
    ce = MODELS.build(released.model.decode_head.loss_decode[0])
    logits = torch.randn(2, 2, 6, 5, generator=torch.Generator().manual_seed(0))
    truth = (torch.arange(60).reshape(2, 6, 5) % 3 == 0).long()
    truth[0, 0] = 255
    one = bce(logits[:, 1:] - logits[:, :1], truth, ignore_index=255)
    assert one == pytest.approx(ce(logits, truth, ignore_index=255).item(), rel=1e-5)


@pytest.mark.parametrize("name", [TINY_DET, MSRS_SEG, TINY_SEG])
@pytest.mark.parametrize("modality", ["infrared", "visible"])
def test_a_model_of_pairs_tests_on_one_modality_alone(name, modality, data):
    cfg = load(name, data)
    init_default_scope(cfg.default_scope)
    model = build(cfg).eval()
    cfg.test_dataloader.dataset.modality = modality
    batch = next(iter(Runner.build_dataloader(cfg.test_dataloader)))
    assert model.data_preprocessor(batch, False)["inputs"].shape[1] == 3
    assert len(evaluate(cfg, model)[1]) == 3


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
    train(cfg, build(cfg))


@pytest.mark.parametrize("fusion", ["sum", "gated"])
def test_other_fusions_and_separate_weights_by_the_command_line(fusion, data):
    cfg = load(TINY_DET, data)
    cfg.merge_from_dict(
        {
            "model.backbone.fusion": fusion,
            "model.backbone.shared": False,
            "model.neck.in_channels": VIT["embed_dims"],
        }
    )
    model = build(cfg)
    train(cfg, model)
    assert set(model.backbone.encoders) == {"infrared", "visible"}


def test_encoder_of_the_tiny_detector_loads_a_pretrained_one(tmp_path):
    pretraining = read("pretrain/mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene.py")
    init_default_scope("mmpretrain")
    encoder = MODELS.build(pretraining.model.backbone)
    encoder.init_weights()
    state = {f"backbone.{key}": value for key, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "epoch_40.pth")
    for name in (TINY_DET, TINY_SEG):
        cfg = read(name)
        init_default_scope(cfg.default_scope)
        cfg.model.backbone.backbone.init_cfg.checkpoint = str(tmp_path / "epoch_40.pth")
        backbone = MODELS.build(cfg.model.backbone)
        backbone.init_weights()
        own = backbone.encoders["both"].state_dict()
        for i in range(6):
            key = f"layers.{i}.ffn.layers.0.0.weight"
            assert torch.equal(own[key], state[f"backbone.{key}"])


def test_detection_recipe_of_mspecgene():
    cfg = read(FLIR)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    )
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.7
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.backbone.arch = dict(VIT, num_layers=12, global_attn_indexes=[2, 5, 8, 11])
    cfg.model.neck.in_channels = 2 * VIT["embed_dims"]
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


def test_segmentation_recipe_of_mspecgene():
    cfg = read(SEMANTICRT)
    assert cfg.optim_wrapper.optimizer.to_dict() == dict(
        type="mmspec.AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
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
    for name in (TINY_DET, *(n for n in of_folder("det") if "infrared" in n or "visible" in n)):
        cfg = read(name)
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


def test_broken_pairs_are_named_on_both_sides(tmp_path):
    for split, names in (("train", "ab"), ("test", "cd")):
        write(tmp_path, "RoadSceneMatchingDataset", split, names)
    cfg = read("matching/mspecgene_vit-tiny_matching-head_1xb8-1k_roadscene.py")
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(tmp_path)
    init_default_scope(cfg.default_scope)
    (tmp_path / "crop_LR_visible" / "d.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"cropinfrared/d\.jpg: no visible image .*crop_LR_visible/d\.\*"
    ):
        DATASETS.build(cfg.test_dataloader.dataset)
    (tmp_path / "train.txt").write_text("a\nz\n")
    with pytest.raises(
        FileNotFoundError, match=r"train\.txt: z: no .*cropinfrared/z\.\* and no .*visible/z\.\*"
    ):
        DATASETS.build(cfg.train_dataloader.dataset)
    Image.new("RGB", (64, 48)).save(tmp_path / "crop_LR_visible" / "c.jpg")
    (tmp_path / "test.txt").write_text("c\n")
    with pytest.raises(UnreadableImageError, match=r"(?s)cropinfrared/c\.jpg.*visible/c\.jpg 64 x"):
        DATASETS.build(cfg.test_dataloader.dataset)[0]


@pytest.mark.parametrize("name", [name for name in of_folder("seg") if "linear-probe" in name])
def test_a_linear_probe_trains_its_head_alone(name, data):
    model = build(load(name, data))
    learning = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert learning == ["decode_head.conv_seg.weight", "decode_head.conv_seg.bias"]
