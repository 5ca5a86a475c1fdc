"""The kinds of docs/drop_in.md with an encoder of pairs and with a plain ViT, as its table says."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "analysis_tools"))
import drop_in
import drop_in_batches
import drop_in_lines
from test_page import EXAMPLES, table
from test_upstream_configs import CONFIGS

CHANNELS = ("infrared", "infrared", "infrared", "red", "green", "blue")
VIT = dict(embed_dims=64, num_layers=1, num_heads=2, feedforward_channels=64)
SIZES = {(framework, name): size for framework, size, names in CONFIGS for name in names}
RUN = [example for example in EXAMPLES if tuple(example.split("::")) in SIZES]


def with_lines(example):
    """An example's config, kind and image size."""
    framework, name = example.split("::")
    path = drop_in.config_folder(framework) / name
    return *drop_in.user_config(framework, path, own=False), SIZES[framework, name]


@pytest.mark.parametrize("example", RUN)
def test_pairs(example, monkeypatch):
    framework = example.partition("::")[0]
    pytest.importorskip(framework)
    config, kind, size = with_lines(example)
    assert table()[framework, kind][1] == "yes"
    if framework == "mmdet":
        old = config.model.data_preprocessor
        kept = {key: old[key] for key in ("pad_size_divisor", "pad_mask") if key in old}
        preprocessor = dict(type="mmspec.RGBTDetDataPreprocessor", **kept)
    elif framework == "mmseg":
        preprocessor = dict(type="mmspec.RGBTSegDataPreprocessor", size=(size, size))
    else:
        six = dict(mean=[108.0] * 6, std=[51.0] * 6, to_rgb=False)
        preprocessor = {**config.data_preprocessor, **six}
    config.model.data_preprocessor = preprocessor
    encoder = config.model.backbone
    config.model.backbone = dict(type="mmspec.RGBTBackbone", fusion="sum", backbone=encoder)
    batch = drop_in_batches.batch

    def pairs(*args):
        data = batch(*args)
        for sample in data["data_samples"]:
            sample.set_metainfo(dict(channels=CHANNELS))
        return {**data, "inputs": [torch.cat([image, image]) for image in data["inputs"]]}

    monkeypatch.setattr(drop_in_batches, "batch", pairs)
    drop_in.try_model(framework, config, size, own=False)


PLAIN = {key: row[2] for key, row in table().items() if row[2] != "no"}


@pytest.mark.parametrize(("framework", "kind"), PLAIN)
def test_a_plain_vit(framework, kind, monkeypatch):
    pytest.importorskip(framework)
    dims = VIT["embed_dims"]
    width = {"pyramid": 32, "map": dims}[PLAIN[framework, kind]]
    monkeypatch.setattr(drop_in_lines, "WIDTHS", (width,) * 4)
    examples = (with_lines(example) for example in RUN if example.startswith(framework))
    config, size = next((config, size) for config, found, size in examples if found == kind)
    model = config.model
    model.backbone = dict(type="mmspec.MaskedViT", arch=VIT, img_size=size)
    if width != dims:
        pyramid = dict(type="mmspec.SimpleFPN", in_channels=dims, out_channels=width, num_outs=4)
        necks = model.get("neck") or []
        model.neck = [pyramid, *(necks if isinstance(necks, list) else [necks])]
    drop_in.try_model(framework, config, size, own=True)
