"""The authors' released M-SpecGene against ours: same weights, images and visible patches."""

import numpy as np
import pytest
import torch

from mmspec.checkpoints import read_checkpoint
from mmspec.masking import PatchMask
from mmspec.models.backbones import MaskedViT
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import RandomPairMasker
from mmspec.models.necks import DualModalityDecoder
from mmspec.models.selfsup import MSpecGene

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=192)


class Recorded(RandomPairMasker):
    """Gives the recorded visible patches, whatever the tokens."""

    def __init__(self, orders: tuple[torch.Tensor, torch.Tensor]) -> None:
        super().__init__()
        self.masks = tuple(PatchMask.from_keep(ids[:, :19], (14, 14)) for ids in orders)

    def forward(self, infrared, visible):
        return self.masks


@pytest.fixture(scope="module")
def recorded(golden_root) -> dict[str, torch.Tensor]:
    path = golden_root / "mspecgene_small.npz"
    return {name: torch.from_numpy(value) for name, value in np.load(path).items()}


@pytest.fixture(scope="module")
def model(golden_root, recorded) -> MSpecGene:
    model = MSpecGene(
        backbone=MaskedViT(ARCH),
        neck=DualModalityDecoder(in_dims=48, dims=32, depth=2, num_heads=4),
        head=ReconstructionHead(norm_pix=True),
        masker=Recorded((recorded["ids_shuffle1"], recorded["ids_shuffle2"])),
    )
    state, _ = read_checkpoint(golden_root / "mspecgene_small_official.pth")
    model.load_state_dict(state, strict=True)
    return model.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    assert ours.shape == theirs.shape
    return torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@torch.no_grad()
def test_masks(model, recorded):
    for mask, name in zip(model.masker.masks, ("mask1", "mask2")):
        assert torch.equal(mask.mask, recorded[name].bool())


@torch.no_grad()
def test_latents_with_the_class_token(model, recorded):
    images = torch.cat(recorded["imgs"].chunk(2, dim=1))
    tokens = model.backbone.patch_tokens(images)
    infrared, visible = model._encode(images, tokens, model.masker.masks)
    assert close(infrared, recorded["latent1"])
    assert close(visible, recorded["latent2"])


@torch.no_grad()
def test_predictions(model, recorded):
    latents = recorded["latent1"], recorded["latent2"]
    infrared, visible = model.neck(latents, model.masker.masks)
    assert close(infrared, recorded["pred1"])
    assert close(visible, recorded["pred2"])


@torch.no_grad()
def test_losses_from_pixels_on(model, recorded):
    losses = model(recorded["imgs"], mode="loss")
    assert set(losses) == {"loss_infrared", "loss_visible"}
    assert close(losses["loss_infrared"], recorded["loss1"])
    assert close(losses["loss_visible"], recorded["loss2"])
    result = model.reconstruct(recorded["imgs"])
    assert close(result.infrared.loss.mean(), recorded["loss1"])
    assert close(result.visible.loss.mean(), recorded["loss2"])
