"""Files of predictions are scored as the models that made them."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import LAYOUTS, write, write_boxes
from mmengine.config import Config
from PIL import Image
from prediction_cases import CASES, saved

from mmspec.apis import Predictor, ResultFolder
from mmspec.engine.launch import build_runner
from mmspec.evaluation import SaliencyMetric

pytest.importorskip("mmdet.models")
pytest.importorskip("mmseg.models")

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/score.py"
SETS = {
    "segmentation": ("EyeDataset", "test"),
    "small targets": ("SIRSTv2Dataset", "test"),
    "detection": ("HITUAVDataset", "val"),
}
NAMES = ("a", "b", "c")


def scores(monkeypatch, tmp_path, *arguments):
    """What the tool writes."""
    out = tmp_path / "scores.txt"  # JSON, whatever it is called
    arguments = [TOOL, *arguments, "--out", out]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    runpy.run_path(str(TOOL), run_name="__main__")
    return json.loads(out.read_text())


def refused(monkeypatch, tmp_path, capsys, *arguments):
    """Why it ends."""
    with pytest.raises(SystemExit) as ended:
        scores(monkeypatch, tmp_path, *arguments)
    return str(ended.value.code) if ended.value.code != 2 else capsys.readouterr().err


def the_test_of(name, tmp_path):
    """A config file on a tiny data set, its model's metrics in a test, and the predictor."""
    dataset, split = SETS[name]
    root = tmp_path / "data"
    (write_boxes if name == "detection" else write)(root, dataset, split, NAMES)
    cfg, checkpoint = saved(CASES[name], tmp_path)
    cfg.test_dataloader.dataset.data_root = str(root)
    cfg.test_dataloader.update(num_workers=0, batch_size=1)
    cfg.work_dir, cfg.launcher, cfg.load_from = str(tmp_path / "work"), "none", str(checkpoint)
    cfg.default_hooks.pop("visualization", None)
    cfg.dump(tmp_path / "config.py")
    predictor = Predictor(cfg, checkpoint, "cpu")
    if name == "detection":
        boxes_that_are_found(root, predictor)
    run = Config(dict(cfg, val_dataloader=None, val_cfg=None, val_evaluator=None))
    return tmp_path / "config.py", build_runner(run).test(), predictor, root


def boxes_that_are_found(root, predictor):
    """The truth made much of what a model with random weights predicts."""
    content = json.loads((root / "normal_json/annotations/val.json").read_text())
    for entry in content["annotations"]:
        (image,) = (x for x in content["images"] if x["id"] == entry["image_id"])
        (prediction,) = predictor.predict(str(next(root.rglob(image["file_name"]))))
        found = prediction.sample.pred_instances
        number = entry["id"] % 10
        x1, y1, x2, y2 = found.bboxes[number].tolist()
        entry["bbox"] = [x1 + number, y1, x2 - x1, y2 - y1]
        entry["category_id"] = content["categories"][int(found.labels[number])]["id"]
    (root / "normal_json/annotations/val.json").write_text(json.dumps(content))


def written(predictor, root, folder, score=0.0):
    with ResultFolder(folder, pictures=False, probabilities=True) as results:
        for prediction in predictor.predict(str(root), score=score):
            results.write(prediction)


def known(metrics):
    return {key: value for key, value in metrics.items() if value is not None}


def without_nan(metrics):
    return {key: None if value != value else value for key, value in metrics.items()}


@pytest.mark.parametrize(
    ("name", "images", "folder"),
    [("segmentation", "images/test", "labels"), ("small targets", "mixed", "probabilities")],
)
def test_what_predict_writes_has_the_numbers_of_the_test(
    name, images, folder, tmp_path, monkeypatch
):
    config, expected, predictor, root = the_test_of(name, tmp_path)
    written(predictor, root / images, tmp_path / "found")
    assert scores(monkeypatch, tmp_path, config, tmp_path / "found") == without_nan(expected)
    found = scores(monkeypatch, tmp_path, config, tmp_path / "found" / folder)
    assert found == without_nan(expected)


def test_boxes_have_the_numbers_of_the_test(tmp_path, monkeypatch, capsys):
    config, expected, predictor, root = the_test_of("detection", tmp_path)
    truth, images = json.loads((root / "normal_json/annotations/val.json").read_text()), root
    entries, lines = [], {}
    for entry in truth["images"]:
        path = next(images.rglob(entry["file_name"]))
        (prediction,) = predictor.predict(str(path))
        found = prediction.sample.pred_instances
        rows = lines[path.stem] = []
        for box, label, score in zip(found.bboxes.double(), found.labels, found.scores):
            corner, size = box[:2], box[2:] - box[:2]
            category = truth["categories"][int(label)]["id"]
            entries.append(dict(image_id=entry["id"], category_id=category, score=float(score),
                                bbox=[*corner.tolist(), *size.tolist()]))  # fmt: skip
            share = torch.tensor([entry["width"], entry["height"]])
            share = torch.cat([(corner + size / 2) / share, size / share]).tolist()
            rows.append(" ".join(map(repr, [int(label), *share, float(score)])))
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    assert 0 < expected["mAP"] < 100
    assert scores(monkeypatch, tmp_path, config, tmp_path / "boxes.json") == without_nan(expected)

    (tmp_path / "yolo").mkdir()
    for stem, rows in lines.items():
        (tmp_path / f"yolo/{stem}.txt").write_text("\n".join(rows) + "\n\n")
    found = scores(monkeypatch, tmp_path, config, tmp_path / "yolo")
    assert known(found) == pytest.approx(known(without_nan(expected)))
    (tmp_path / "yolo/a.txt").unlink()
    scores(monkeypatch, tmp_path, config, tmp_path / "yolo")
    assert "1 of 3 images have no file, and so no detection" in capsys.readouterr().out

    written(predictor, images, tmp_path / "found")
    found = scores(monkeypatch, tmp_path, config, tmp_path / "found")
    assert known(found) == pytest.approx(known(without_nan(expected)), rel=1e-3)
    assert "--score-thr" not in capsys.readouterr().out
    written(predictor, images, tmp_path / "few", score=0.25)
    scores(monkeypatch, tmp_path, config, tmp_path / "few")
    assert "no boxes of scores below 0.25, which average precision" in capsys.readouterr().out

    for change, message in (
        (dict(image_id="a"), "entry 1: image_id 'a' is not among the 3 ids of .*, such as 0; ids"),
        (dict(category_id=99), "entry 1: category_id 99 is not in .*: 0 "),
        (dict(bbox=[0, 0, -1, 2]), "entry 1: bbox .* is no box"),
        (dict(bbox=None), "entry 1: no image_id, bbox and score"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps([entries[0], {**entries[1], **change}]))
        why = refused(monkeypatch, tmp_path, capsys, config, tmp_path / "bad.json")
        assert_says(why, message)


def test_a_coco_file_is_scored_without_images(tmp_path, monkeypatch, capsys):
    write_boxes(tmp_path / "data", "M3FDDataset", "test")
    truth = tmp_path / "data/annotations/test.json"
    content = json.loads(truth.read_text())
    for image in tmp_path.rglob("*.png"):
        image.unlink()
    results = [{k: x[k] for k in ("image_id", "category_id", "bbox")} | dict(score=0.5)
               for x in content["annotations"]]  # fmt: skip
    (tmp_path / "found.json").write_text(json.dumps(results[1:]))
    found = scores(monkeypatch, tmp_path, truth, tmp_path / "found.json")
    assert found["AP50/Car"] == pytest.approx(100) and found["AP50/Bus"] is None
    assert found["AP50/People"] == pytest.approx(100 * 51 / 101)
    (tmp_path / "found.json").write_text("[]")
    assert scores(monkeypatch, tmp_path, truth, tmp_path / "found.json")["mAP"] == 0
    assert "2 of 2 images have no detection" in capsys.readouterr().out


def test_images_of_a_file_of_boxes_are_those_of_the_test(tmp_path, monkeypatch, capsys):
    write_boxes(tmp_path / "data", "M3FDDataset", "test", NAMES)
    truth, path = tmp_path / "data/annotations/test.json", tmp_path / "predictions.json"
    content = json.loads(truth.read_text())
    content["annotations"] = [x | dict(score=0.5) for x in content["annotations"]]
    names = [x["file_name"].rpartition(".")[0] for x in content["images"]]

    def save(**changes):
        path.write_text(json.dumps(content | changes))

    save()
    expected = scores(monkeypatch, tmp_path, truth, path)
    assert expected["AP50/Car"] == 100 and "score-thr" not in capsys.readouterr().out

    save(images=content["images"][2:], annotations=[], info=dict(score_threshold=0.3))
    why = refused(monkeypatch, tmp_path, capsys, truth, path)
    assert_says(why, "2 images do not fit the 3 .*on fewer --subset\n"
                     f"  {names[0]}: no images of this name\n  {names[1]}: no")  # fmt: skip
    (tmp_path / "list.txt").write_text(names[2])
    scores(monkeypatch, tmp_path, truth, path, "--subset", tmp_path / "list.txt")
    said = capsys.readouterr().out
    assert "no boxes of scores below 0.3" in said and "1 of 1 images have no detection" in said

    other = dict(content["images"][0], id=99, file_name="other/d.png")
    more = [*content["annotations"], dict(content["annotations"][0], image_id=99, score=0.9)]
    save(images=[*content["images"], other], annotations=more)
    why = refused(monkeypatch, tmp_path, capsys, truth, path)
    assert_says(why, "1 images do not fit.*--extra.*\n  other/d.png: not an image of the test$")
    assert scores(monkeypatch, tmp_path, truth, path, "--extra") == expected
    assert "1 detections of images that are not in the test" in capsys.readouterr().out
    path.write_text(json.dumps(more))  # by ids alone
    assert_says(refused(monkeypatch, tmp_path, capsys, truth, path), "image_id 99 .*--extra")
    assert scores(monkeypatch, tmp_path, truth, path, "--extra") == expected

    entry = content["categories"][0]
    for key in ("images", "categories"):
        save(**{key: [dict(id=1)]})
        assert_says(
            refused(monkeypatch, tmp_path, capsys, truth, path), f"{key}: entry 0 is {{'id'"
        )
    save(categories=[entry, "Bus"])
    assert_says(
        refused(monkeypatch, tmp_path, capsys, truth, path), "entry 1 is 'Bus', without 'id'"
    )

    save(images=[*content["images"], dict(content["images"][0], id=99)])
    why = refused(monkeypatch, tmp_path, capsys, truth, path)
    assert_says(why, f"1 images do not fit.*\n  {names[0]}: 2 images of this name$")


@pytest.mark.parametrize("row", ["0 300 200 10 10 0.9", "0.5 0.5 0.5 0.1 0.1 0.9"])
def test_boxes_in_pixels_are_no_shares(row, tmp_path, monkeypatch, capsys):
    write_boxes(tmp_path / "data", "M3FDDataset", "test")
    truth = tmp_path / "data/annotations/test.json"
    name = json.loads(truth.read_text())["images"][0]["file_name"]
    found = (tmp_path / "yolo" / name).with_suffix(".txt")
    found.parent.mkdir(parents=True)
    found.write_text(row)
    why = refused(monkeypatch, tmp_path, capsys, truth, tmp_path / "yolo")
    assert_says(why, f"line 1: '{row}': .* not pixels")


def assert_says(text, pattern):
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def config_of(tmp_path, dataset, split, metric, **options):
    """A test config without a model."""
    loader = dict(type=f"mmspec.{dataset}", data_root=str(tmp_path / "data"), split=split,
                  pipeline=[dict(type="mmspec.LoadSegmentationLabels")], **options)  # fmt: skip
    cfg = dict(default_scope="mmseg", test_dataloader=dict(dataset=loader), test_evaluator=metric)
    Config(cfg).dump(tmp_path / "config.py")
    return tmp_path / "config.py"


@pytest.fixture
def targets(tmp_path):
    """A config of small targets, and a folder of their masks."""
    write(tmp_path / "data", "IRSTD1kDataset", "test", NAMES)
    config = config_of(tmp_path, "IRSTD1kDataset", "test", dict(type="mmspec.SmallTargetMetric"))
    return config, tmp_path / "data/IRSTD1k_Label"


def test_masks_as_score_maps(targets, tmp_path, monkeypatch, capsys):
    config, masks = targets
    assert scores(monkeypatch, tmp_path, config, masks)["IoU"] == 100
    levels = {name: np.array(Image.open(masks / f"{name}.png")) for name in NAMES}
    for how in ("npy", "16 bits", "subset"):
        folder = tmp_path / how
        folder.mkdir()
        for name, values in levels.items():
            found = values / 255 * (0.5 if name == "c" else 0.9)
            if how == "npy":
                np.save(folder / f"{name}_p.npy", found)
            else:
                deep = (found * 65535).astype(np.uint16)
                Image.fromarray(deep).save(folder / f"{name}_p.png")
    (tmp_path / "1 bit").mkdir()
    for name, values in levels.items():
        Image.fromarray(values > 0).save(tmp_path / f"1 bit/{name}.png")
    assert scores(monkeypatch, tmp_path, config, tmp_path / "1 bit")["IoU"] == 100
    for how in ("npy", "16 bits"):  # half of full scale is not above 0.5
        found = scores(monkeypatch, tmp_path, config, tmp_path / how, "--suffix", "_p")
        assert found["Pd"] == pytest.approx(200 / 3) and found["AUC"] == 1
    low = [config, tmp_path / "npy", "--suffix", "_p", "--threshold", 0.4]
    assert scores(monkeypatch, tmp_path, *low)["Pd"] == 100
    (tmp_path / "list.txt").write_text("a\nb.png\n")
    found = scores(monkeypatch, tmp_path, *low[:4], "--subset", tmp_path / "list.txt")
    assert found["Pd"] == 100
    (tmp_path / "list.txt").write_text("a\nd\n")
    why = refused(monkeypatch, tmp_path, capsys, *low[:4], "--subset", tmp_path / "list.txt")
    assert_says(why, "1 names are unknown\n  d: not an image of the test")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "a.png").unlink(), "1 results do not fit the 3 images.*\n  a: no result"),
        (lambda f: Image.new("L", (9, 6)).save(f / "d.png"), "d.png: not an image of the test"),
        (lambda f: Image.new("L", (9, 6)).save(f / "a.png"), "a.png: 9 x 6 pixels, .* is 90 x 60"),
        (lambda f: Image.new("P", (90, 60)).save(f / "a.png"), "a.png: a palette PNG"),
        (lambda f: (f / "a.png").write_bytes(b""), "a.png: .*empty|a.png: not an image"),
        (lambda f: np.save(f / "a.npy", np.zeros((60, 90))), "a second result, beside|same name"),
        (lambda f: np.save(renamed(f) / "a.npy", np.full((60, 90), 4.0)), "4 to 4 .*the sigmoid"),
        (lambda f: np.save(renamed(f) / "a.npy", np.zeros((2, 60, 90))), "not one channel"),
        (lambda f: [Image.fromarray((np.array(Image.open(x)) > 0) * np.uint8(1)).save(x)
                    for x in f.iterdir()], "all maps end at level 1"),
        (lambda f: [x.unlink() for x in f.iterdir()], "no image"),
    ],
)  # fmt: skip
def test_maps_that_cannot_be_scored(targets, tmp_path, monkeypatch, capsys, spoil, message):
    config, masks = targets
    folder = tmp_path / "maps"
    folder.mkdir()
    for path in masks.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    assert_says(refused(monkeypatch, tmp_path, capsys, config, folder), f"(?s){message}")


def renamed(folder):
    (folder / "a.png").unlink()
    return folder


def test_labels_of_other_values(tmp_path, monkeypatch, capsys):
    write(tmp_path / "data", "UdderDataset", "test", NAMES)
    metric = dict(type="mmspec.SegmentationMetric")
    config, masks = config_of(tmp_path, "UdderDataset", "test", metric), tmp_path / "data/masks"
    assert LAYOUTS["UdderDataset"].values == (0, 255)
    why = refused(monkeypatch, tmp_path, capsys, config, masks / "test")
    assert_says(why, "a.png: 9 of 5,400 pixels are of class 255; there are 2 classes.*--coded")
    assert scores(monkeypatch, tmp_path, config, masks / "test", "--coded")["mIoU"] == 100
    why = refused(monkeypatch, tmp_path, capsys, config, masks / "none")
    assert_says(why, "no file or folder")
    Image.new("RGB", (90, 60), (1, 2, 3)).save(masks / "test/a.png")


def test_saliency_maps(tmp_path, monkeypatch):
    write(tmp_path / "data", "VT5000Dataset", "Test", NAMES)
    config = config_of(tmp_path, "VT5000Dataset", "Test", dict(type="mmspec.SaliencyMetric"),
                       modality="both")  # fmt: skip
    metric, rng = SaliencyMetric(), np.random.default_rng(0)
    (tmp_path / "maps").mkdir()
    for name in NAMES:
        found = rng.integers(0, 256, (60, 90), dtype=np.uint8)
        Image.fromarray(found).save(tmp_path / f"maps/{name}.png")
        truth = np.array(Image.open(tmp_path / f"data/Test/GT/{name}.png")) >= 128
        sample = dict(
            dataset_name="VT5000",
            gt_sem_seg=dict(data=torch.from_numpy(truth.astype(np.uint8))[None]),
            seg_logits=dict(data=torch.from_numpy(found / 255)[None]),
        )
        metric.process({}, [sample])
    expected = metric.evaluate(3)
    assert scores(monkeypatch, tmp_path, config, tmp_path / "maps") == expected
