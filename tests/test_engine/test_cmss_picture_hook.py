"""Pictures of the masking over a run, over a resumed one, and over one from other weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.structures import DataSample
from PIL import Image

from mmspec.engine import CMSSScheduleHook, CMSSVisualizationHook, cmss
from mmspec.models.backbones import MaskedViT
from mmspec.models.data_preprocessors.rgbt import CHANNELS
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import CMSSMasking, RandomPairMasker
from mmspec.models.necks import DualModalityDecoder
from mmspec.models.selfsup import MSpecGene

ARCH = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16)


class Pairs:
    def __len__(self):
        return 5

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        pixels = torch.randint(0, 256, (6, 64, 64), dtype=torch.uint8, generator=generator)
        return dict(inputs=pixels, data_samples=DataSample(metainfo=dict(channels=CHANNELS)))


def model_of(masker) -> MSpecGene:
    torch.manual_seed(0)
    return MSpecGene(
        MaskedViT(ARCH, img_size=64),
        DualModalityDecoder(16, 8, 1, 2),
        ReconstructionHead(norm_pix=True),
        masker,
    )


class Run:
    """What the hook sees of a runner over epochs of a step each."""

    def __init__(self, work_dir, hook, max_epochs=4, masker=None) -> None:
        self.hook = hook
        self.logged = []
        self.runner = SimpleNamespace(
            model=model_of(masker or CMSSMasking(0.75)),
            work_dir=work_dir,
            seed=3,
            epoch=0,
            max_epochs=max_epochs,
            logger=SimpleNamespace(info=self.logged.append),
            train_dataloader=SimpleNamespace(dataset=Pairs(), collate_fn=default_collate),
        )

    def train(self, stop_after: int) -> dict:
        """Goes on to an epoch; gives the state of the model there."""
        runner, model = self.runner, self.runner.model
        self.hook.before_train(runner)
        for epoch in range(runner.epoch, stop_after):
            runner.epoch = epoch
            model.train()
            model(torch.randn(2, 6, 64, 64), mode="loss")
            self.hook.after_train_epoch(runner)
        runner.epoch = stop_after
        return model.state_dict()


def written(folder) -> set[str]:
    return {path.name for path in (folder / "masking").iterdir()}


def test_pictures_of_a_run_and_of_its_resumption(tmp_path):
    whole = Run(tmp_path, CMSSVisualizationHook(interval=2, num_pairs=3))
    state = whole.train(stop_after=3)
    histories = {"mixture.png", "visible_patches.png"}
    assert written(tmp_path) == {"epoch_0001.png", "epoch_0002.png", *histories}
    sheet = np.asarray(Image.open(tmp_path / "masking" / "epoch_0002.png"))
    assert sheet.shape == (22 + 4 + 3 * 68, 4 + 6 * 68, 3)
    assert whole.logged == [f"pictures of the masking: {tmp_path / 'masking'}"] * 2

    resumed = Run(tmp_path, CMSSVisualizationHook(interval=2, num_pairs=3), max_epochs=6)
    resumed.runner.model.load_state_dict(state)
    resumed.runner.epoch = 3
    resumed.train(stop_after=5)
    assert "epoch_0004.png" in written(tmp_path) and "epoch_0005.png" not in written(tmp_path)
    assert [mixture.epoch for mixture in resumed.hook.mixtures] == [4, 5]
    columns = np.asarray(Image.open(tmp_path / "masking" / "visible_patches.png")).shape[1]
    assert columns == 4 + 2 * 68


def test_the_pairs_and_the_random_numbers_are_the_same_in_each_epoch(tmp_path, monkeypatch):
    run = Run(tmp_path, CMSSVisualizationHook(interval=1, num_pairs=1))
    shown, original = [], cmss.cmss_pictures
    monkeypatch.setattr(cmss, "cmss_pictures", lambda *x: shown.append(original(*x)) or shown[-1])
    run.train(stop_after=1)
    state = torch.get_rng_state()
    run.hook.after_train_epoch(run.runner)
    assert torch.equal(torch.get_rng_state(), state)
    (first,), (second,) = shown
    for name in ("infrared", "visible", "scores", "infrared_mask", "visible_mask"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    pixels = Pairs()[0]["inputs"].numpy()
    assert np.array_equal(first.visible, pixels[3:].transpose(1, 2, 0))
    assert np.allclose(first.infrared, pixels[0], atol=1e-3)
    assert (~first.infrared_mask).sum() == (~first.visible_mask).sum() == 4
    assert (first.infrared_mask | first.visible_mask).all()


def test_it_shows_the_masks_of_the_epoch_that_ended():
    priorities = [hook.priority for hook in (CMSSVisualizationHook, CMSSScheduleHook)]
    assert priorities == ["ABOVE_NORMAL", "NORMAL"]


def test_another_masker_is_refused_before_training(tmp_path):
    run = Run(tmp_path, CMSSVisualizationHook(), masker=RandomPairMasker(0.75))
    with pytest.raises(ValueError, match="CMSSVisualizationHook: MSpecGene holds 0 CMSSMasking"):
        run.train(stop_after=1)
