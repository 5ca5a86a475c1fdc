from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from mmspec.engine import ReconstructionVisualizationHook
from mmspec.models.backbones import MaskedViT
from mmspec.models.data_preprocessors.rgbt import CHANNELS
from mmspec.models.heads import ReconstructionHead
from mmspec.models.maskers import RandomPairMasker
from mmspec.models.necks import DualModalityDecoder
from mmspec.models.selfsup import MSpecGene


def test_sheet_of_pairs(tmp_path):
    from mmpretrain.structures import DataSample

    arch = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16)
    model = MSpecGene(
        MaskedViT(arch, img_size=64),
        DualModalityDecoder(16, 8, 1, 2),
        ReconstructionHead(norm_pix=True),
        RandomPairMasker(),
    )
    hook = ReconstructionVisualizationHook(num_images=2)
    hook.batch = dict(
        inputs=torch.randint(0, 256, (2, 6, 64, 64), dtype=torch.uint8),
        data_samples=[DataSample(metainfo=dict(channels=CHANNELS)) for _ in range(2)],
    )
    logged = []
    logger = SimpleNamespace(info=logged.append)
    hook._write(SimpleNamespace(model=model, work_dir=tmp_path, epoch=4, logger=logger))
    path = tmp_path / "reconstructions" / "epoch_0005.png"
    assert logged == [f"reconstructions: {path}"]
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (22 + 4 + 4 * 68, 4 + 5 * 68, 3)
