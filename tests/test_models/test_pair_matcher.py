"""Loss, head and model of matching: exact where features are perfect."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import nn

from mmspec.evaluation.matching import project as project_numpy
from mmspec.matching import random_homography
from mmspec.models.data_preprocessors import RGBTDataPreprocessor
from mmspec.models.heads import MatchingHead
from mmspec.models.heads.matching import project, sample
from mmspec.models.losses import DualSoftmaxLoss
from mmspec.models.matchers import PairMatcher

SHAPE = (48, 64)  # height, width


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def homographies(count, shape=SHAPE):
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.stack([random_homography(shape, rng) for _ in range(count)]))


def test_places_are_those_of_the_metric():
    truth = homographies(3)
    points = torch.rand(3, 10, 2) * 40
    found = project(points, truth.float())
    for i in range(3):
        expected = project_numpy(points[i].numpy(), truth[i].numpy())
        assert found[i].numpy() == pytest.approx(expected, abs=1e-4)


def test_maps_are_sampled_at_x_y_of_the_image():
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    maps = torch.stack([columns * 4 + 1.5, rows * 4 + 1.5, torch.full((12, 16), 10.0)])[None]
    points = torch.tensor([[(20.0, 10.0), (50.5, 3.25), (1.5, 45.5)]])
    found = sample(maps, points, SHAPE)
    expected = F.normalize(torch.cat([points, torch.full((1, 3, 1), 10.0)], dim=2), dim=2)
    assert torch.allclose(found, expected, atol=1e-5)


def test_loss_by_hand():
    angle = 1.0
    first = torch.tensor([[(1.0, 0.0), (0.0, 1.0)]])
    second = torch.tensor([[(math.cos(angle), math.sin(angle)), (0.0, 1.0)]])
    places = torch.tensor([[(0.0, 0.0), (9.0, 0.0)]])
    valid = torch.ones(1, 2, dtype=torch.bool)
    similarity = torch.tensor([(math.cos(angle), 0.0), (math.sin(angle), 1.0)]) / 0.5
    confidence = similarity.softmax(0) * similarity.softmax(1)
    loss = DualSoftmaxLoss(temperature=0.5, radius=4)
    assert float(loss(first, second, places, valid)) == pytest.approx(
        float(-confidence.diagonal().log().mean())
    )
    # Neighbours within the radius, and points without a place, are no negatives.
    assert float(loss(first, second, places / 3, valid)) == 0
    assert float(loss(first, second, places, torch.tensor([[True, False]]))) == 0
    assert float(loss(first, second, places, torch.zeros_like(valid))) == 0


def test_perfect_descriptors_cost_nothing_and_foreign_ones_do():
    count = 64
    codes = torch.eye(count)[None]
    places = torch.stack([torch.arange(count) * 8.0, torch.zeros(count)], dim=1)[None]
    valid = torch.ones(1, count, dtype=torch.bool)
    loss = DualSoftmaxLoss(temperature=0.05)
    # log(1 + 63 exp(-20)) in either direction
    assert float(loss(codes, codes, places, valid)) == pytest.approx(0, abs=1e-6)
    assert float(loss(codes, codes.roll(1, 1), places, valid)) == pytest.approx(40, rel=1e-3)
    alike = torch.ones_like(codes) / count**0.5
    assert float(loss(alike, alike, places, valid)) == pytest.approx(2 * math.log(count), rel=1e-4)


class Codes(nn.Module):
    """A head of perfect descriptors: every cell has a code of its own, the same in both images."""

    def __init__(self, grid, channels=128):
        super().__init__()
        maps = torch.randn(1, channels, *grid)
        self.maps = nn.Parameter(F.normalize(maps, dim=1))

    def forward(self, pairs, maps):
        return (self.maps.expand(len(pairs), -1, -1, -1),) * 2


def test_perfect_features_match_identically():
    model = PairMatcher(nn.Identity(), Codes((12, 16)))
    inputs = torch.rand(2, 6, *SHAPE)
    for found in model.eval()(inputs, mode="predict"):
        assert len(found.infrared_points) == 12 * 16
        cells = {(4 * x + 1.5, 4 * y + 1.5) for x in range(16) for y in range(12)}
        assert set(map(tuple, found.infrared_points)) == cells
        # Codes of neighbours are unlike: the vertex of the parabolas lies near the cell.
        assert np.abs(found.visible_points - found.infrared_points).max() < 0.6
        assert found.homography == pytest.approx(np.eye(3), abs=0.02)
        assert found.scores == pytest.approx(1, abs=1e-5)
        assert (np.diff(found.scores) <= 0).all()


def test_the_head_learns_by_the_true_homography():
    """Descriptors that encode the place in the scene fit the truth, and no transposed one."""
    truth = homographies(2).float()
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).flatten(0, 1)[None].expand(2, -1, -1)

    def codes(places):
        """Bumps along either axis, of which neighbours share some: (2, C, 48, 64)."""
        centres = torch.linspace(-5, 70, 40)
        x, y = (torch.exp(-((places[..., i : i + 1] - centres) ** 2) / 18) for i in (0, 1))
        return torch.cat([x, y], dim=-1).transpose(1, 2).unflatten(2, (48, 64))

    head = MatchingHead([8], num_points=100, loss=DualSoftmaxLoss(0.02, radius=3))
    infrared, visible = codes(project(pixels, truth)), codes(pixels)
    right = head.loss(infrared, visible, truth, SHAPE)
    swap = torch.tensor([(0.0, 1, 0), (1, 0, 0), (0, 0, 1)])
    wrong = head.loss(infrared, visible, swap @ truth @ swap, SHAPE)
    assert right["matched"] > 90 and right["loss"] < 1
    assert wrong["matched"] < 50 and wrong["loss"] > 5


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 16, stride=16)
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        maps = self.drop(self.conv(images))
        return maps, maps.relu()


def matcher(**kwargs):
    return PairMatcher(Encoder(), MatchingHead([8, 8], channels=16, num_points=64, **kwargs))


def test_shapes_and_sides():
    model = matcher().eval()
    pairs = torch.randn(3, 6, *SHAPE)
    infrared, visible = model(pairs)
    assert infrared.shape == visible.shape == (3, 16, 12, 16)
    assert torch.allclose(infrared.norm(dim=1), torch.ones(3, 12, 16), atol=1e-5)
    # Each image alone decides on its descriptors: none of another pair or of the partner.
    changed = pairs.clone()
    changed[1, :3] = torch.randn(3, *SHAPE)
    other_infrared, other_visible = model(changed)
    assert torch.allclose(visible, other_visible, atol=1e-5)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(infrared, other_infrared)]
    assert same == [True, False, True]


def test_gains_and_offsets_of_an_image_change_nothing():
    head = matcher().head.eval()
    pairs = torch.randn(1, 6, *SHAPE)
    maps = [torch.randn(2, 8, 3, 4) for _ in range(2)]
    for name, parameter in head.named_parameters():
        if ".maps." in name:  # which begin at 0
            nn.init.normal_(parameter, std=0.3)
    one = head(pairs, maps)
    other = head(3 * pairs + 5, [0.5 * m - 2 for m in maps])
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(one, other))


def test_a_new_head_goes_by_the_pixels_and_learns_to_use_the_maps():
    head = matcher().head.train()
    pairs, truth = torch.randn(2, 6, *SHAPE), homographies(2)
    maps = [torch.randn(4, 8, 3, 4) for _ in range(2)]
    one, other = (head(pairs, [scale * m for m in maps]) for scale in (1, 0))
    assert all(torch.equal(a, b) for a, b in zip(one, other))
    head.loss(*one, truth, SHAPE)["loss"].backward()
    for embedding in head.embeddings.values():
        assert all(projection.weight.grad.any() for _, projection in embedding.maps)


def test_images_of_one_level_stay_finite():
    infrared, visible = matcher().eval()(torch.zeros(1, 6, *SHAPE))
    assert torch.isfinite(infrared).all() and torch.isfinite(visible).all()


def test_the_encoder_stays_as_it_is():
    model = matcher().train()
    assert model.head.training and not model.backbone.drop.training
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    samples = [DataSample() for _ in range(2)]
    for one, truth in zip(samples, homographies(2)):
        one.set_field(truth, "truth")
    losses = model(torch.randn(2, 6, *SHAPE), samples, mode="loss")
    losses["loss"].backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(p.grad is not None for p in model.head.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.backbone.state_dict().items())
    assert set(losses) == {"loss", "matched"}


def test_loss_falls_on_one_batch():
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 255, (2, 4, 12, 16)).astype(np.float32))
    pixels = F.interpolate(pixels, size=SHAPE, mode="bicubic").clamp(0, 255)
    samples = []
    for truth in homographies(2):
        samples.append(DataSample(metainfo=dict(channels=("infrared", "red", "green", "blue"))))
        samples[-1].set_field(truth, "truth")
    model = matcher().train()
    data = model.data_preprocessor(dict(inputs=pixels, data_samples=samples), True)
    assert isinstance(model.data_preprocessor, RGBTDataPreprocessor)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = model(**data, mode="loss")["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Unlike images: a start at twice log(64) or so, since what is to be told apart are 64 points.
    assert losses[0] > 7 and np.mean(losses[-3:]) < 0.8 * losses[0]


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="channels must be a multiple of 16, got 40"):
        MatchingHead([8], channels=40)
    with pytest.raises(ValueError, match="in_channels are of 3 maps, the encoder gives 2"):
        PairMatcher(Encoder(), MatchingHead([8] * 3))(torch.zeros(1, 6, *SHAPE))
    with pytest.raises(ValueError, match="mode='train'"):
        matcher()(torch.zeros(1, 6, *SHAPE), mode="train")
