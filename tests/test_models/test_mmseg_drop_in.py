"""ConvViT as the backbone of mmseg's own configs, by the lines that a user writes."""

from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmspec.models.backbones import ConvViT

pytestmark = pytest.mark.stack

MMSEG_CONFIGS = Path(mmseg.__file__).parent / ".mim" / "configs"
ARCH = dict(embed_dims=(8, 16, 32), depths=(1, 1, 2), num_heads=2, mlp_ratios=(2, 2, 2))
SIZE = (64, 96)
LINES = """
_base_ = "{base}"
custom_imports = dict(imports=["mmspec"])
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type="mmspec.ConvViT",
        arch={arch},
        init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint="{checkpoint}"),
    ),
    {heads},
)
"""
# Config of mmseg, and in_channels of its heads.
CASES = {
    "pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py": (
        "decode_head=dict(in_channels=32), auxiliary_head=dict(in_channels=32)"
    ),
    "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py": (
        "decode_head=dict(in_channels=[8, 16, 32, 32])"
    ),
    "upernet/upernet_r50_4xb4-80k_ade20k-512x512.py": (
        "decode_head=dict(in_channels=[8, 16, 32, 32]), auxiliary_head=dict(in_channels=32)"
    ),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> tuple[Path, ConvViT]:
    """A checkpoint as pre-training leaves it, and the encoder it came from."""
    torch.manual_seed(0)
    backbone = ConvViT(ARCH, pretraining=True, out_indices=(0, 1, 2))
    backbone.init_weights()
    path = tmp_path_factory.mktemp("pretraining") / "epoch_400.pth"
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    torch.save(dict(meta=dict(epoch=400), state_dict=state), path)
    return path, backbone


def user_config(base: str, encoder: tuple[Path, ConvViT], folder: Path, **changes: str) -> Config:
    settings = dict(base=MMSEG_CONFIGS / base, arch=ARCH, checkpoint=encoder[0], heads=CASES[base])
    path = folder / "config.py"
    path.write_text(LINES.format(**settings | changes))
    return Config.fromfile(path)


def batch() -> dict:
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=SIZE, ori_shape=SIZE))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 150, (1, *SIZE)))
        samples.append(sample)
    inputs = [torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize("base", CASES)
def test_trains_and_predicts(base, encoder, tmp_path):
    cfg = user_config(base, encoder, tmp_path)
    init_default_scope(cfg.default_scope)
    cfg.model.data_preprocessor.size = SIZE
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    for name, value in encoder[1].state_dict().items():
        if not name.startswith(("fuse.", "norm.")):
            assert torch.equal(model.backbone.state_dict()[name], value), name

    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    losses = model.train_step(batch(), optim_wrapper)
    assert torch.isfinite(losses["loss"])
    learned = model.backbone.state_dict()["stages.2.0.attn.qkv.weight"]
    assert not torch.equal(learned, encoder[1].state_dict()["stages.2.0.attn.qkv.weight"])

    model.eval()
    model.test_cfg.mode = "whole"
    with torch.no_grad():
        outputs = model.test_step(batch())
    assert [tuple(o.pred_sem_seg.data.shape) for o in outputs] == [(1, *SIZE)] * 2


def test_layer_decay_by_two_more_lines(encoder, tmp_path):
    base = "upernet/upernet_r50_4xb4-80k_ade20k-512x512.py"
    cfg = user_config(base, encoder, tmp_path)
    cfg.optim_wrapper.constructor = "mmspec.LayerDecayOptimWrapperConstructor"
    cfg.optim_wrapper.paramwise_cfg = dict(layer_decay_rate=0.5)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.01 * 0.5**i for i in (3, 2, 1, 0)]


def test_a_model_of_another_size_is_refused(encoder, tmp_path):
    base = "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py"
    wider = {**ARCH, "embed_dims": (8, 16, 64)}
    cfg = user_config(base, encoder, tmp_path, arch=wider)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    with pytest.raises(ValueError, match=r"ConvViT and checkpoint do not go together"):
        model.init_weights()
