"""Cross-entropy with class weights: values by hand, ignored pixels, mmseg's own."""

import pytest
import torch
import torch.nn.functional as F

from mmspec.models.losses import WeightedCrossEntropyLoss
from mmspec.registry import MODELS

pytestmark = pytest.mark.stack
WEIGHTS = [1.0, 6.0, 0.5]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator)
    return logits, torch.randint(0, 3, (2, 5, 7), generator=generator)


def test_two_pixels_by_hand():
    # Probabilities 1/2 and 1/4 of the true classes 1 and 0: (6 ln 2 + ln 4) / 7.
    logits = torch.tensor([[0.5, 0.25], [0.5, 0.75]]).log()[None, :, None]
    loss = WeightedCrossEntropyLoss([1.0, 6.0], loss_weight=2.0)(logits, torch.tensor([[[1, 0]]]))
    assert loss.item() == pytest.approx(2 * 8 / 7 * 0.693147, rel=1e-5)


def test_ignored_pixels_count_neither_above_nor_below(batch):
    logits, target = batch
    loss = WeightedCrossEntropyLoss(WEIGHTS)
    target[0, 1:3] = 255
    expected = F.cross_entropy(logits, target, torch.tensor(WEIGHTS), ignore_index=255)
    assert loss(logits, target).item() == pytest.approx(expected.item(), rel=1e-6)
    nothing = loss(logits.requires_grad_(), torch.full_like(target, 255))
    nothing.backward()
    assert nothing == 0 and not logits.grad.any()


def test_without_ignored_pixels_it_is_that_of_mmseg(batch):
    mmseg = pytest.importorskip("mmseg.models.losses")
    logits, target = batch
    pixels = torch.rand(target.shape, generator=torch.Generator().manual_seed(1))
    theirs = mmseg.CrossEntropyLoss(class_weight=WEIGHTS, loss_weight=0.4)
    ours = MODELS.build(
        dict(type="WeightedCrossEntropyLoss", class_weight=WEIGHTS, loss_weight=0.4)
    )
    for weight in (None, pixels):
        expected = theirs(logits, target, weight=weight, ignore_index=255)
        torch.testing.assert_close(ours(logits, target, weight), expected)


def test_weights_of_other_classes_are_refused(batch):
    with pytest.raises(ValueError, match="2 values in class_weight and logits of 3 classes"):
        WeightedCrossEntropyLoss([1.0, 6.0])(*batch)
