"""What a user gets wrong ends in one message that names it, not in a stack trace."""

import pytest
import torch


@pytest.fixture
def failing(tiny_config, train, tmp_path):
    def run(*options: str) -> str:
        (process,) = train(tiny_config, tmp_path / "run", "--cfg-options", *options)
        assert process.wait().returncode == 2, process.output
        output = process.stderr
        assert "Traceback (most recent call last):\n  File" not in output.split("usage:")[-1]
        return output.split("error: ")[-1]

    return run


def test_empty_folder(failing, tmp_path):
    (tmp_path / "empty").mkdir()
    message = failing(f"train_dataloader.dataset.data_root={tmp_path / 'empty'}")
    assert "no images in" in message and "empty" in message


def test_text_file_named_png(failing, tmp_path):
    (tmp_path / "text").mkdir()
    for i in range(8):
        (tmp_path / "text" / f"{i}.png").write_text("no image")
    message = failing(f"train_dataloader.dataset.data_root={tmp_path / 'text'}")
    assert ".png" in message and len(message.splitlines()) == 1


def test_fewer_images_than_a_batch(failing):
    assert "fewer images than a batch" in failing("train_dataloader.batch_size=64")


def test_load_from_another_model_is_no_silent_start_from_scratch(failing, tmp_path):
    torch.save({"state_dict": {"backbone.conv1.weight": torch.ones(2)}}, tmp_path / "other.pth")
    assert "other.pth" in failing(f"load_from={tmp_path / 'other.pth'}")
