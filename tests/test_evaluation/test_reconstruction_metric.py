"""The mean reconstruction error."""

import math

import pytest
import torch

from mmspec.evaluation import ReconstructionMetric


def evaluate(*samples):
    metric = ReconstructionMetric()
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def sample(loss):
    return dict(img_path="a/1.png", reconstruction_loss=torch.tensor(loss))


def test_mean_over_images():
    assert evaluate(sample(1.0), sample(0.5)) == {"reconstruction/loss": 0.75}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_an_error_that_is_not_finite_is_named(loss):
    with pytest.raises(ValueError, match=f"a/1.png: its reconstruction loss is {loss}"):
        evaluate(sample(1.0), sample(loss))


def test_a_sample_without_an_error_is_named():
    with pytest.raises(KeyError, match="a/1.png: it came without 'reconstruction_loss'"):
        evaluate(dict(img_path="a/1.png"))
