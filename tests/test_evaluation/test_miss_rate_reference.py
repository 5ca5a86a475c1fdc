"""KAIST's miss rate with and without the habits of its evaluation, on detectors with gaps.

``slow_rate`` is the definition of that evaluation, image by image and in plain loops; it gives the
numbers that the evaluation itself gave for two published detectors (``expected_miss_rates.json``).
A third detector, made of one of them, has images without a detection and lines out of order, which
no published file has: what the evaluation would give for it follows from the same definition.
"""

import json
import math
import random
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from kaist_files import read_detections, read_truth
from processes import run

from mmspec.datasets.detection import KAISTDataset
from mmspec.evaluation import MissRateMetric
from mmspec.evaluation.miss_rate import FPPI_POINTS, evaluate_miss_rate

CONVERTER = Path(__file__).resolve().parents[2] / "tools/dataset_converters/to_coco.py"
#: Least and greatest height, levels of occlusion.
SETTINGS = {
    "Reasonable": (55, math.inf, {0, 1}),
    "Reasonable_small": (50, 75, {0, 1}),
    "Reasonable_occ=heavy": (50, math.inf, {2}),
    "All": (20, math.inf, {0, 1, 2}),
}
TIMES = {"All": range(2252), "Day": range(1455), "Night": range(1455, 2252)}


def overlap(found, true, ignored):
    width = min(found[0] + found[2], true[0] + true[2]) - max(found[0], true[0])
    height = min(found[1] + found[3], true[1] + true[3]) - max(found[1], true[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = found[2] * found[3]
    shared = width * height
    return shared / (area if ignored else area + true[2] * true[3] - shared)


def slow_rate(objects, found, setting, images, habits):
    """The log-average miss rate.

    Args:
        objects: of each image dicts with id, bbox, occlusion and ignore.
        found: of each image (bbox, score) in the order of the file.
        setting: name among ``SETTINGS``.
        images: ids.
        habits: with those of KAIST's evaluation.
    """
    least, greatest, levels = SETTINGS[setting]
    results, pedestrians = [], 0  # (score, 'hit', 'false' or 'none')
    for image in images:
        if habits and not found[image]:
            continue
        true = []
        for one in objects[image]:
            x, y, width, height = one["bbox"]
            ignored = one["ignore"] or not least <= height <= greatest
            ignored = ignored or one["occlusion"] not in levels
            ignored = ignored or x < 5 or y < 5 or x + width > 635 or y + height > 507
            true.append((bool(ignored), one))
        true.sort(key=lambda entry: entry[0])  # those to be ignored last
        pedestrians += sum(not ignored for ignored, _ in true)
        order = sorted(range(len(found[image])), key=lambda i: -found[image][i][1])
        rows = [found[image][i][0] for i in order]
        if habits:  # sorted overlaps are sorted once more
            rows = [rows[i] for i in order]
        taken = set()
        for place, box in zip(order, rows):
            best, chosen = 0.5, None
            for number, (ignored, one) in enumerate(true):
                if number in taken or (chosen is not None and ignored and not true[chosen][0]):
                    continue
                if (value := overlap(box, one["bbox"], ignored)) >= best:
                    best, chosen = value, number
            kind = "false"
            if chosen is not None and true[chosen][0]:
                kind = "none"
            elif chosen is not None:
                taken.add(chosen)
                kind = "false" if habits and true[chosen][1]["id"] == 0 else "hit"
            results.append((found[image][place][1], kind))
    results.sort(key=lambda result: -result[0])
    counted = [kind for _, kind in results if kind != "none"]
    curve, hits, false = [], 0, 0
    for kind in counted:
        hits += kind == "hit"
        false += kind == "false"
        curve.append((false / len(images), 1 - hits / pedestrians))
    rates = []
    for point in FPPI_POINTS:
        reached = [rate for fppi, rate in curve if fppi <= point]
        beyond = curve[-1][1] if habits and curve else 1.0
        rates.append(reached[-1] if reached else beyond)
    if habits and 0 in rates:
        return 0.0
    return math.exp(sum(math.log(max(rate, 1e-10)) for rate in rates) / len(rates))


@pytest.fixture(scope="module")
def kaist(data_root):
    return data_root / "kaist_eval"


@pytest.fixture(scope="module")
def objects(kaist):
    by_image = defaultdict(list)
    for one in json.loads((kaist / "KAIST_annotation.json").read_text())["annotations"]:
        by_image[one["image_id"]].append(one)
    return by_image


def lines_of(kaist, name):
    return (kaist / f"state_of_arts/{name}_result.txt").read_text().splitlines()


def by_image(lines):
    found = defaultdict(list)
    for line in lines:
        number, *box, score = map(float, line.split(","))
        found[int(number) - 1].append((box, score))
    return found


def third_detector(kaist, folder, gaps, shuffled):
    """A file with nothing in every third image, or with every second image's lines out of order."""
    rng = random.Random(0)
    images = defaultdict(list)
    for line in lines_of(kaist, "MSDS-RCNN"):
        images[int(line.split(",")[0])].append(line)
    lines = []
    for number, of_image in sorted(images.items()):
        if shuffled and number % 2 == 0:
            rng.shuffle(of_image)
        if not gaps or number % 3:
            lines += of_image
    path = folder / "third.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("name", ["MBNet", "MSDS-RCNN"])
def test_the_slow_definition_is_the_evaluation(kaist, objects, name):
    expected = json.loads((kaist / "expected_miss_rates.json").read_text())["expected"][name]
    found = by_image(lines_of(kaist, name))
    for setting, of_times in expected.items():
        rate = slow_rate(objects, found, setting, TIMES["Night"], habits=True)
        assert rate == pytest.approx(of_times["night"]["log_average_miss_rate"], abs=1e-12)
    rate = slow_rate(objects, found, "All", TIMES["All"], habits=True)
    assert rate == pytest.approx(expected["All"]["all"]["log_average_miss_rate"], abs=1e-12)


@pytest.mark.parametrize(
    ("gaps", "shuffled", "as_reference", "objects_", "rate"),
    [
        (True, False, True, 957, 10.55),
        (True, False, False, 1455, 41.97),
        (False, True, True, 1455, 46.52),
        (False, True, False, 1455, 11.34),
    ],
)
def test_a_third_detector(kaist, objects, tmp_path, gaps, shuffled, as_reference, objects_, rate):
    path = third_detector(kaist, tmp_path, gaps, shuffled)
    truth = read_truth(kaist / "KAIST_annotation.json")
    detections = read_detections(path, truth)
    curves = evaluate_miss_rate(truth, detections, tuple(SETTINGS), as_reference)
    found = by_image(path.read_text().splitlines())
    assert len(curves) == 12
    for setting, time in [("Reasonable", "Day"), ("All", "Night"), ("Reasonable_small", "All")]:
        wanted = slow_rate(objects, found, setting, TIMES[time], as_reference)
        assert curves[setting, time].log_average == pytest.approx(wanted, abs=1e-12)
    reasonable = curves["Reasonable", "All"]
    assert (reasonable.images, reasonable.objects) == (2252, objects_)
    assert 100 * reasonable.log_average == pytest.approx(rate, abs=0.005)
    if not as_reference:  # as it is unless asked for
        plain = evaluate_miss_rate(truth, detections, ("Reasonable",))["Reasonable", "All"]
        assert plain.log_average == reasonable.log_average


def test_few_images(kaist, objects, tmp_path):
    """A false positive above all hits: it exceeds the first points where images are few."""
    content = json.loads((kaist / "KAIST_annotation.json").read_text())
    few = [image for image in content["images"] if image["id"] < 40]
    of_few = [one for one in content["annotations"] if one["image_id"] < 40]
    annotation = tmp_path / "few.json"
    annotation.write_text(json.dumps(content | dict(images=few, annotations=of_few)))
    lines = [line for line in lines_of(kaist, "MSDS-RCNN") if int(line.split(",")[0]) <= 40]
    truth = read_truth(annotation)
    for name, first in (("false.txt", ["1,300,300,40,80,1.5"]), ("found.txt", [])):
        path = tmp_path / name
        path.write_text("\n".join(first + lines))
        found = by_image(first + lines)
        detections = read_detections(path, truth)
        for as_reference in (True, False):
            curves = evaluate_miss_rate(truth, detections, tuple(SETTINGS), as_reference)
            for (setting, time), curve in curves.items():
                if time == "All":
                    wanted = slow_rate(objects, found, setting, range(40), as_reference)
                    assert curve.log_average == pytest.approx(wanted, abs=1e-12), setting


def test_the_metric_scores_the_annotation_that_the_converter_wrote(kaist, tmp_path):
    """Boxes and occlusion go from KAIST's JSON by the data set into the samples of a test."""
    written = run(CONVERTER, "kaist-json", kaist, "--out", tmp_path / "annotations")
    assert written.returncode == 0, written.output
    dataset = KAISTDataset(str(tmp_path), split="test", test_mode=True, lazy_init=True)
    images, findings = dataset.read_annotations()
    assert not findings.faults
    found = by_image(lines_of(kaist, "MSDS-RCNN"))
    metric = MissRateMetric()
    for number, image in enumerate(images):
        boxes = torch.tensor([box for box, _ in found[number]], dtype=torch.float64).reshape(-1, 4)
        sample = dataset.sample_of(image) | dict(ori_shape=(image.height, image.width))
        sample["pred_instances"] = dict(
            bboxes=torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1),
            scores=torch.tensor([score for _, score in found[number]], dtype=torch.float64),
            labels=torch.zeros(len(boxes), dtype=torch.int64),
        )
        metric.process({}, [sample])
    metrics = metric.evaluate(len(images))
    truth = read_truth(kaist / "KAIST_annotation.json")
    path = kaist / "state_of_arts/MSDS-RCNN_result.txt"
    curves = evaluate_miss_rate(truth, read_detections(path, truth))
    assert len(metrics) == len(curves) == 24
    for (setting, time), curve in curves.items():
        rate = metrics[f"MR/{setting}/{time}"]
        assert rate == pytest.approx(100 * curve.log_average, abs=1e-9), (setting, time)
