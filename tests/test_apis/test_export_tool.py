"""``tools/export.py``, and ``tools/predict.py`` on what it wrote."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image
from processes import Program
from processes import run as start

import mmspec  # noqa: F401  (mmcv's operators, before mmdet and mmseg are imported)

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.stack
REPO = Path(__file__).resolve().parents[2]
SEG = REPO / "configs/seg/scratch_convvit-tiny_upernet_1xb4-1k_eye-200x200.py"


def run(name: str, *args: str | Path) -> Program:
    return start(REPO / "tools" / f"{name}.py", *args)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path, list[Path]]:
    """A folder, a checkpoint and two images of 100 x 120."""
    folder = tmp_path_factory.mktemp("export")
    cfg = Config.fromfile(SEG)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    meta = dict(dataset_meta=dict(classes=("background", "iris", "pupil")))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / "model.pth")
    (folder / "images").mkdir()
    images = [folder / "images" / f"{i}.png" for i in range(2)]
    for seed, path in enumerate(images):
        pixels = np.random.default_rng(seed).integers(0, 256, (10, 12), np.uint8)
        Image.fromarray(pixels.repeat(10, 0).repeat(10, 1)).save(path)
    return folder, folder / "model.pth", images


def test_writes_compares_and_predicts_the_same(made):
    folder, checkpoint, images = made
    out = folder / "model.onnx"
    done = run("export", SEG, checkpoint, "--out", out, "--dynamic", "--images", *images)
    assert done.returncode == 0, done.stderr
    assert "ONNX opset 17" in done.stdout
    assert "logits: " in done.stdout
    results = []
    for weights in (checkpoint, out):
        target = folder / weights.suffix[1:]
        done = run("predict", SEG, weights, folder / "images", "--out", target, "--no-pictures")
        assert done.returncode == 0, done.stderr
        (labels,) = {path.parent for path in target.rglob("0.png")}
        results.append([np.asarray(Image.open(labels / f"{i}.png")) for i in range(2)])
    for expected, found in zip(*results):
        assert len(np.unique(expected)) > 1
        assert (expected != found).mean() < 1e-3
    import onnxruntime

    about = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"]).get_modelmeta()
    details = {key: json.loads(value) for key, value in about.custom_metadata_map.items()}
    assert details["classes"] == ["background", "iris", "pupil"]
    assert details["config"] == SEG.name
    assert details["percentiles"]


def test_a_difference_deletes_the_file(made):
    folder, checkpoint, images = made
    out = folder / "strict.onnx"
    done = run("export", SEG, checkpoint, "--out", out, "--tolerance", "1e-12", "--images", *images)
    assert done.returncode == 2
    assert "so it was deleted" in done.stderr
    assert not out.exists()


def test_one_image_proves_nothing(made):
    folder, checkpoint, images = made
    done = run("export", SEG, checkpoint, "--out", folder / "one.onnx", "--images", images[0])
    assert done.returncode == 2
    assert "at least two images" in done.stderr


def test_what_cannot_go_in_is_named(made):
    from mmspec.apis import export

    folder, checkpoint, images = made
    given = [str(path) for path in images]
    for weights, size, told in (
        (folder / "of.onnx", None, "is an export already: give the checkpoint"),
        (checkpoint, (0, 64), "--size 0 64: give"),
    ):
        with pytest.raises(export.ExportError, match=told):
            export.export_checkpoint(
                str(SEG), str(weights), folder / "x.onnx", images=given, size=size
            )
    name = "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256.py"
    rendered = Config.fromfile(REPO / "configs" / name)
    with pytest.raises(export.ExportError, match=r"is no file \(synthetic://.*: give --images"):
        export._test_images(rendered)


def test_an_export_is_no_checkpoint_of_a_test(made):
    folder, *_ = made
    (folder / "tested.onnx").write_bytes(b"none")
    done = run("test", SEG, folder / "tested.onnx")
    assert done.returncode == 2
    assert "is an export, which tools/predict.py runs" in done.stderr


def test_a_result_that_is_no_number_never_agrees():
    from mmspec.apis.export import share_apart

    one, other = torch.ones(3), torch.tensor([1.0, float("nan"), 1.0])
    assert share_apart(one, other) == share_apart(other, one) == share_apart(other, other)
    assert share_apart(one, other) == float("inf") and share_apart(one, one) == 0


def test_boxes_that_neither_finds_prove_nothing():
    from mmengine.structures import InstanceData

    from mmspec.apis import export

    none = InstanceData(
        bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long)
    )
    sample = SimpleNamespace(pred_instances=none)
    both = SimpleNamespace(kind="detector", test_step=lambda _: [sample])
    batch = dict(inputs=[torch.zeros(3, 8, 8)], data_samples=[])
    with pytest.raises(export.ExportError, match="neither model found an instance"):
        export.compare(both, both, [batch])
