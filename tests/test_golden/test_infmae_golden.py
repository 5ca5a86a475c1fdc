"""The authors' released code against ours, on the same weights and images."""

import json

import numpy as np
import pytest
import torch

from mmspec.checkpoints import read_checkpoint
from mmspec.checkpoints.layouts import find_layout
from mmspec.models.backbones import ConvViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import InformationMasker
from mmspec.models.necks import InfMAEDecoder
from mmspec.models.selfsup import InfMAE

ARCH = dict(embed_dims=(16, 24, 48), depths=(2, 2, 3), num_heads=4, mlp_ratios=(4, 4, 4))


@pytest.fixture(scope="module")
def recorded(golden_root) -> dict[str, torch.Tensor]:
    path = golden_root / "infmae_small.npz"
    return {name: torch.from_numpy(value) for name, value in np.load(path).items()}


@pytest.fixture(scope="module")
def model(golden_root) -> InfMAE:
    model = InfMAE(
        backbone=ConvViT(ARCH, pretraining=True, out_indices=(0, 1, 2)),
        neck=InfMAEDecoder(in_dims=48, dims=32, depth=2, num_heads=4),
        head=ReconstructionHead(),
        masker=InformationMasker(score="projection", order="ascending"),
    )
    state, _ = read_checkpoint(golden_root / "infmae_small_official.pth")
    model.load_state_dict(state, strict=True)
    return model.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@torch.no_grad()
def test_mask(model, recorded):
    mask = model.masker(recorded["imgs"])
    assert torch.equal(mask.ids_keep, recorded["ids_keep"])
    assert torch.equal(mask.mask, recorded["mask"].bool())
    # The released order keeps every fourth of the sorted patches: those stand at ranks 0, 4, 8, ...
    ranks = recorded["ids_restore"].gather(1, mask.ids_keep)
    assert torch.equal(ranks, torch.arange(0, 196, 4).expand(2, -1))


@torch.no_grad()
def test_latent_and_prediction(model, recorded):
    mask = model.masker(recorded["imgs"])
    latent = model.backbone(recorded["imgs"], mask)
    assert close(latent, recorded["latent"])
    assert close(model.neck(latent, mask), recorded["pred"])


@torch.no_grad()
@pytest.mark.parametrize(("norm_pix", "name"), [(False, "loss"), (True, "loss_norm_pix")])
def test_losses(model, recorded, norm_pix, name):
    head = ReconstructionHead(norm_pix=norm_pix)
    loss = head.loss(recorded["pred"], recorded["imgs"], recorded["mask"])
    assert close(loss, recorded[name])
    if not norm_pix:
        assert close(model(recorded["imgs"], mode="loss")["loss"], recorded[name])


@torch.no_grad()
def test_dense_features(model, recorded):
    f1, f2, f3 = model.extract_feat(recorded["imgs"])
    assert close(f1, recorded["f1"])
    assert close(f2, recorded["f2"])
    assert close(f3.flatten(2).transpose(1, 2), recorded["f3"])


def test_all_243_tensors_of_the_base_model_have_a_place(golden_root):
    shapes = json.loads((golden_root / "infmae_base_official_keys.json").read_text())
    assert len(shapes) == 243
    from mmspec.models.layers.position import sincos_positions

    state = {
        name: sincos_positions((14, 14), shape[2], 14)[None]
        if name.endswith("pos_embed")
        else torch.empty(1).expand(shape)
        for name, shape in shapes.items()
    }
    converted, ignored = find_layout(state).convert(state)
    assert set(ignored) == {"pos_embed", "decoder_pos_embed", "patch_embed.proj.bias"}
    assert len(converted) == 240
    with torch.device("meta"):
        model = InfMAE(
            backbone=ConvViT("base", pretraining=True, out_indices=(0, 1, 2)),
            neck=InfMAEDecoder(),
            head=ReconstructionHead(),
            masker=InformationMasker(score="projection"),
        )
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in converted.items()} == expected


def test_initial_weights_have_the_spread_of_the_released_ones(golden_root):
    """The recorded network was never trained: its weights (not its biases) are as they began."""
    official, _ = read_checkpoint(golden_root / "infmae_small_official.pth")
    torch.manual_seed(0)
    encoder = ConvViT(ARCH, pretraining=True)
    decoder = InfMAEDecoder(in_dims=48, dims=32, depth=2, num_heads=4)
    compared = 0
    for part, module in (("backbone", encoder), ("neck", decoder)):
        module.init_weights()
        for name, value in module.state_dict().items():
            if value.dim() > 1:
                theirs = official[f"{part}.{name}"].std().item()
                spread = 4 / value.numel() ** 0.5  # of two estimates
                assert value.std().item() == pytest.approx(theirs, rel=spread), name
                compared += 1
    assert compared == 49
