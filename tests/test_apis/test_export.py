"""Exported models give what the models give, and those that would not are not written."""

import copy
import re
from pathlib import Path

import pytest
import torch
from export_cases import CASES, batch, small_model

from mmspec.apis import ExportedModel, export
from mmspec.apis.export import ExportError, compare, export_model, resized
from mmspec.apis.exported_model import ExportedModelError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.stack
REPO = Path(__file__).resolve().parents[2]
NEWER_TORCH = pytest.mark.skipif(
    not hasattr(torch.export, "Dim"), reason="torch.export of this torch takes no such models"
)


def batches(model: torch.nn.Module) -> list[dict]:
    return [batch(model, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def model_of():
    """Each small model once."""
    known = {}

    def build(case: str) -> torch.nn.Module:
        if case not in known:
            known[case] = small_model(case)
        return known[case]

    return build


def ticked(column: str) -> list[str]:
    """Cases that docs/export.md says are exported so."""
    table = re.findall(r"^\| `(.+?)` \|(.+)\|$", (REPO / "docs/export.md").read_text(), re.M)
    place = ["fixed", "dynamic", "half", "pt2"].index(column)
    return [case for case, cells in table if cells.split("|")[place].strip() == "yes"]


def options(case: str) -> dict:
    return dict(encoder=case.endswith("encoder"), raw=case.endswith("raw"))


def exported(model_of, case: str, tmp_path: Path, suffix: str = ".onnx", **how) -> ExportedModel:
    model = model_of(case.rpartition(", ")[0] if any(options(case).values()) else case)
    path = tmp_path / f"model{suffix}"
    report = export_model(model, batches(model), path, **options(case), **how)
    assert all(value <= report.tolerance for value in report.differences.values())
    written = ExportedModel(path)
    if written.kind == "detector":  # of no boxes nothing differs
        assert len(written.test_step(batch(model))[0].pred_instances) > 3
    return written


@pytest.mark.parametrize("case", ticked("fixed"))
def test_of_one_size(case, model_of, tmp_path):
    written = exported(model_of, case, tmp_path)
    assert written.details["size"] == [96, 128]
    with pytest.raises(ExportedModelError, match="--dynamic, or with --size 64 96"):
        written.run(torch.zeros(1, written.details["planes"], 64, 96))


@pytest.mark.parametrize("case", ticked("dynamic"))
def test_of_any_size(case, model_of, tmp_path):
    written = exported(model_of, case, tmp_path, dynamic=True)
    assert written.details["size"] is None


@pytest.mark.parametrize("case", ticked("half"))
def test_in_half_precision(case, model_of, tmp_path):
    import onnx

    written = exported(model_of, case, tmp_path, half=True)
    types = {tensor.data_type for tensor in onnx.load(written.path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types


@NEWER_TORCH
@pytest.mark.parametrize("case", ticked("pt2"))
def test_as_a_program_of_torch(case, model_of, tmp_path):
    exported(model_of, case, tmp_path, ".pt2")


def test_every_case_is_in_the_table():
    assert set(CASES) - {"cascade r-cnn"} <= set(ticked("fixed"))


def test_what_differs_is_deleted(model_of, tmp_path):
    path = tmp_path / "model.onnx"
    model = model_of("upernet")
    with pytest.raises(ExportError, match=r"logits .*; allowed: 1e-12"):
        export_model(model, batches(model), path, tolerance=1e-12)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"an earlier one")
    with pytest.raises(ExportError, match=r"logits .*; allowed: 1e-12"):
        export_model(model, batches(model), path, tolerance=1e-12)
    assert path.read_bytes() == b"an earlier one"


def test_the_device_is_heeded(tmp_path, monkeypatch):
    import onnxruntime

    asked = []

    def session(path, options, providers):
        asked.append([one if isinstance(one, str) else one[0] for one in providers])
        raise ValueError("no file")

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    for suffix in (".onnx", ".pt2"):
        (tmp_path / f"model{suffix}").write_bytes(b"none")
    gpu, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    for there, device in (([gpu, cpu], None), ([gpu, cpu], "cuda:1"), ([gpu, cpu], "cpu")):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda there=there: there)
        with pytest.raises(ExportedModelError, match="onnxruntime cannot read it"):
            ExportedModel(tmp_path / "model.onnx", device)
    assert asked == [[gpu, cpu], [gpu, cpu], [cpu]]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cpu])
    with pytest.raises(ExportedModelError, match="'cuda:0': this onnxruntime has no CUDA"):
        ExportedModel(tmp_path / "model.onnx", "cuda:0")
    with pytest.raises(ExportedModelError, match="'cuda:0': .*model.pt2 was written for the CPU"):
        ExportedModel(tmp_path / "model.pt2", "cuda:0")


def test_files_that_no_export_wrote(tmp_path):
    for name, message in (("x.pth", "no .onnx or .pt2 file"), ("x.ONNX", "cannot read it")):
        (tmp_path / name).write_bytes(b"none")
        with pytest.raises(ExportedModelError, match=message):
            ExportedModel(tmp_path / name)


def test_a_part_that_keeps_a_size_is_told(model_of, tmp_path):
    path = tmp_path / "model.onnx"
    model = model_of("mask r-cnn of pairs")  # relative positions of ViTSAM
    with pytest.raises(ExportError, match="on an image of 67 x 141, so it was deleted"):
        export_model(model, batches(model), path, dynamic=True)
    assert not path.exists()


@pytest.mark.parametrize(
    ("case", "how", "told"),
    [
        ("cascade r-cnn", {}, "not this one: CascadeRoIHead has a predict_bbox of its own"),
        ("upernet in windows", dict(dynamic=True), "mode='slide'.*--size"),
        ("faster r-cnn", dict(suffix=".pt2"), "number of boxes that varies in MaskRCNN"),
        ("upernet", dict(raw=True), "--raw is for single-stage detectors, not for EncoderDecoder"),
    ],
)
def test_what_cannot_be_exported_is_named(case, how, told, model_of, tmp_path):
    how = dict(how)
    model = model_of(case)
    path = tmp_path / f"model{how.pop('suffix', '.onnx')}"
    with pytest.raises(ExportError, match=told):
        export_model(model, batches(model), path, **how)


def test_a_least_size_of_boxes_is_in_pixels_of_the_file(tmp_path):
    """Of which a graph knows nothing, so that it would leave out others than the model."""
    model = small_model("retinanet")
    model.bbox_head.test_cfg.min_bbox_size = 17
    with pytest.raises(ExportError, match="test_cfg needs nms_pre > 0 and min_bbox_size of 0"):
        export_model(model, batches(model), tmp_path / "model.onnx")


def test_names_end_in_a_known_suffix(model_of, tmp_path):
    with pytest.raises(ExportError, match="must end in"):
        export_model(model_of("upernet"), [], tmp_path / "model.pth")


def test_a_modality_that_is_black_is_absent(model_of, tmp_path):
    model = model_of("upernet of pairs")
    exported(model_of, "upernet of pairs", tmp_path)
    night = batch(model)
    night["inputs"][0][1:] = 0
    found = compare(model, ExportedModel(tmp_path / "model.onnx"), [night])
    assert found["logits"] < 1e-5


def test_takes_one_image_of_its_channels(model_of, tmp_path):
    written = exported(model_of, "upernet", tmp_path, dynamic=True)
    for shape in ((2, 3, 96, 128), (1, 4, 96, 128), (3, 96, 128)):
        with pytest.raises(ExportedModelError, match=r"takes one image .*\(1, 3, height, width\)"):
            written.run(torch.zeros(shape))


def test_leaves_the_given_sample_as_it_was(model_of, tmp_path):
    model = model_of("retinanet")
    given = batch(model)
    written = exported(model_of, "retinanet", tmp_path)
    expected = model.test_step(copy.deepcopy(given))[0].pred_instances
    for _ in range(2):
        assert not given["data_samples"][0].keys()
        found = written.test_step(copy.deepcopy(given))[0].pred_instances
        torch.testing.assert_close(found.bboxes, expected.bboxes, rtol=1e-4, atol=1e-2)
        written.test_step(given)


def test_metadata_say_what_goes_in(model_of, tmp_path):
    model = model_of("small targets")
    path = tmp_path / "model.onnx"
    export_model(model, batches(model), path, about=dict(classes=["background", "target"]))
    details = ExportedModel(path).details
    assert details["stride"] == 32
    assert details["mean"] == model.data_preprocessor.mean.flatten().tolist()
    assert details["classes"] == ["background", "target"]
    assert "0 to 255" in details["input"]
    assert details["precision"] == "float32"


def test_a_missing_instance_counts_by_its_score():
    from mmengine.structures import InstanceData

    boxes = torch.tensor([[0.0, 0, 9, 9], [20, 20, 40, 40], [60, 60, 70, 70]])
    expected = InstanceData(
        bboxes=boxes, scores=torch.tensor([0.9, 0.8, 0.1]), labels=torch.tensor([0, 1, 0])
    )
    assert max(export.instances_apart(expected, expected[[0, 1]]).values()) < 1e-6
    assert export.instances_apart(expected, expected[[0, 2]])["scores"] == pytest.approx(0.7)


def test_another_size_is_told_to_the_sample(model_of):
    given = batch(model_of("upernet"))
    smaller = resized(copy.deepcopy(given), (0.5, 0.25))
    assert smaller["inputs"][0].shape == (3, 48, 32)
    assert smaller["data_samples"][0].img_shape == (48, 32)
    assert smaller["data_samples"][0].scale_factor == (0.125, 0.25)
    assert given["data_samples"][0].img_shape == (96, 128)
