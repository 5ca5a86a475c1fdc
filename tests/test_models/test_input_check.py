"""An encoder notices images without contrast, whoever loaded them."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile

import mmspec.models.input_check as input_check
from mmspec.datasets.transforms import LoadInfraredImageFromFile
from mmspec.models.backbones import ConvViT, MaskedViT


@pytest.fixture
def told(monkeypatch):
    messages = []
    monkeypatch.setattr(input_check, "print_log", lambda text, **_: messages.append(text))
    return messages


def batch(image, mean=108.375, std=51.0):
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    return (pixels - mean) / std


@pytest.fixture
def frame(tmp_path):
    """A 14-bit frame of about 7000 to 8500 counts, as cameras give them."""
    rng = np.random.default_rng(0)
    counts = 7000 + 1500 * np.linspace(0, 1, 64 * 64).reshape(64, 64) + rng.normal(0, 9, (64, 64))
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), counts.astype(np.uint16))
    return str(path)


def run(pixels, batches=5):
    encoder = ConvViT(arch="tiny").eval()
    with torch.no_grad():
        for _ in range(batches):
            encoder(pixels)


def test_frames_of_14_bits_behind_the_frameworks_loader_are_told_once(told, frame):
    image = LoadImageFromFile()(dict(img_path=frame))["img"]
    assert image.max() - image.min() < 10
    run(batch(image))
    assert len(told) == 1
    assert "hardly any contrast" in told[0] and "mmspec.LoadInfraredImageFromFile" in told[0]


def test_the_same_frames_by_our_loader_pass(told, frame):
    run(batch(LoadInfraredImageFromFile(color_type="color")(dict(img_path=frame))["img"]))
    assert told == []


def test_a_padded_border_hides_nothing(told, frame):
    image = LoadImageFromFile()(dict(img_path=frame))["img"]
    run(torch.nn.functional.pad(batch(image), (0, 32, 0, 32)))
    assert len(told) == 1


def test_ordinary_low_contrast_of_8_bits_passes(told):
    noise = np.random.default_rng(0).normal(90, 8, (64, 64, 1)).clip(0, 255).astype(np.uint8)
    run(batch(np.repeat(noise, 3, axis=2)))
    assert told == []


def test_one_image_of_contrast_is_enough(told, frame):
    flat = batch(LoadImageFromFile()(dict(img_path=frame))["img"])
    run(torch.cat([flat, torch.randn_like(flat)]))
    assert told == []


def test_pixels_that_were_not_normalised_are_told(told):
    run(torch.rand(1, 3, 64, 64) * 255)
    assert len(told) == 1 and "as if they were not normalised" in told[0]


def test_a_probe_before_the_training_uses_nothing_up(told, frame):
    flat, encoder = batch(LoadImageFromFile()(dict(img_path=frame))["img"]), ConvViT(arch="tiny")
    with input_check.unwatched(encoder), torch.no_grad():
        for _ in range(3):
            encoder(torch.randn(1, 3, 64, 64))
    with torch.no_grad():
        for _ in range(3):
            encoder(flat)
    assert len(told) == 1


def test_images_that_reach_an_encoder_by_its_tokens_are_looked_at(told):
    encoder = MaskedViT(dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32))
    input_check.look_at_input(encoder, torch.full((2, 3, 64, 64), 500.0))
    assert len(told) == 1 and "as if they were not normalised" in told[0]
