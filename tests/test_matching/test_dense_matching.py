import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sift import match_sift
from torch import nn

from mmspec.evaluation.matching import match_errors
from mmspec.matching import MatchingEncoder, match_features, mutual_nearest
from mmspec.models.backbones import ConvViT


def test_mutual_nearest_by_hand():
    first = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1]]))
    second = F.normalize(torch.tensor([[0.0, 2], [3, 0.3]]))
    rows, columns, scores = mutual_nearest(first, second)
    # The first and the third both want the second of the others, which is nearer to the third.
    assert rows.tolist() == [1, 2] and columns.tolist() == [0, 1]
    assert scores.tolist() == pytest.approx([1, float(first[2] @ second[1])])


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096])
def test_chunks_change_nothing(chunk):
    torch.manual_seed(0)
    first, second = (F.normalize(torch.randn(n, 8), dim=1) for n in (60, 45))
    similarity = first @ second.T
    rows, columns, scores = mutual_nearest(first, second, chunk)
    expected = [
        (i, j)
        for i, j in enumerate(similarity.argmax(1).tolist())
        if int(similarity[:, j].argmax()) == i
    ]
    assert list(zip(rows.tolist(), columns.tolist())) == expected and len(expected) > 5
    assert scores.tolist() == pytest.approx([float(similarity[i, j]) for i, j in expected])


def test_cells_become_pixels_of_each_image():
    torch.manual_seed(0)
    features = torch.randn(32, 6, 8)
    shifted = features.roll((1, 2), (1, 2))  # down by a cell, to the right by two
    matches = match_features(features, shifted, (24, 32), (48, 64))
    order = np.lexsort(matches.infrared.T)
    cells = np.stack([np.tile(np.arange(8), 6), np.repeat(np.arange(6), 8)], 1)
    assert matches.infrared[order] == pytest.approx((cells + 0.5) * 4 - 0.5)
    expected = ((cells + np.array([2, 1])) % (8, 6) + 0.5) * 8 - 0.5
    # The neighbours are noise: the refinement moves by at most half a cell.
    assert np.abs(matches.visible[order] - expected).max() <= 4
    assert np.abs(matches.visible[order] - expected).mean() < 1


def test_refinement_finds_places_between_cells():
    def bumps(shift):
        """Features that vary slowly over the map: a code of Gaussian bumps along each axis."""
        centres = torch.linspace(-2, 18, 21)
        codes = [torch.exp(-(((torch.arange(16.0) - shift)[:, None] - centres) ** 2) / 4)] * 2
        rows, columns = codes
        full = torch.cat([
            rows.T[:, :, None].expand(-1, 16, 16), columns.T[:, None, :].expand(-1, 16, 16)
        ])  # fmt: skip
        return full

    matches = match_features(bumps(0.0), bumps(0.3), (16, 16), (16, 16))
    inner = (matches.infrared > 2).all(1) & (matches.infrared < 13).all(1)
    assert inner.sum() > 50
    assert np.abs(matches.visible - matches.infrared - 0.3)[inner].max() < 0.02


def test_maps_of_nothing_give_no_nan():
    matches = match_features(torch.zeros(4, 3, 3), torch.randn(4, 3, 3), (12, 12), (12, 12))
    assert np.isfinite(matches.visible).all()


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return x[:, :, ::4, ::4] * self.weight, F.avg_pool2d(x, 8)


def test_encoder_sees_both_modalities_alike():
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 120, (32, 48)).astype(np.uint8)
    encoder = MatchingEncoder(Backbone().train(), [0])
    one, other = encoder(gray), encoder(np.repeat((2 * gray + 10)[..., None], 3, axis=2))
    assert one.shape == (3, 8, 12) and not encoder.backbone.training
    assert torch.allclose(one, other, atol=1e-5)  # whatever gain and offset
    seen = encoder.backbone.seen[0]
    assert float(seen.mean()) == pytest.approx(0, abs=1e-5)
    assert float(seen.std()) == pytest.approx(1, abs=1e-3)


def test_levels_are_put_together_on_the_first_grid():
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3)).astype(np.uint8)
    both = MatchingEncoder(Backbone(), [0, 1])(image)
    assert both.shape == (6, 8, 12)
    assert torch.allclose(both[:3].norm(dim=0), torch.full((8, 12), 0.5**0.5), atol=1e-5)
    with pytest.raises(ValueError, match="levels=\\(2,\\): Backbone gives 2 maps"):
        MatchingEncoder(Backbone(), [2])(image)


def test_a_map_that_covers_more_than_the_image_is_refused():
    image = np.zeros((48, 64), np.uint8)
    tiny = ConvViT(
        dict(embed_dims=(8, 16, 32), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
    )
    assert MatchingEncoder(tiny, [2])(image).shape[1:] == (3, 4)
    # Its last map has two rows of 32 pixels for 48.
    with pytest.raises(ValueError, match="2 x 2 cells for an image of 64 x 48 pixels"):
        MatchingEncoder(tiny, [0, 3])(image)
    assert MatchingEncoder(tiny, [3])(np.zeros((64, 96), np.uint8)).shape[1:] == (2, 3)


def test_sift_on_a_shifted_picture():
    rng = np.random.default_rng(0)
    large = np.kron(rng.integers(0, 255, (24, 30)), np.ones((8, 8))).astype(np.uint8)
    matches = match_sift(large[:160, :200], np.repeat(large[16:176, 8:208, None], 3, axis=2))
    truth = np.array([[1.0, 0, -8], [0, 1, -16], [0, 0, 1]])
    errors = match_errors(matches.infrared, matches.visible, truth)
    assert len(matches) > 20 and np.mean(errors < 1) > 0.8
    assert len(match_sift(np.zeros((64, 64), np.uint8), large)) == 0
