"""KAIST's miss rate against cases done by hand."""

import json
import math

import numpy as np
import pytest
import torch
from kaist_files import read_truth

from mmspec.datasets.detection import KAISTDataset
from mmspec.evaluation import MissRateMetric
from mmspec.evaluation.kaist import Detections, frame_of, is_night
from mmspec.evaluation.miss_rate import (
    FPPI_POINTS,
    SETTINGS,
    TIMES,
    evaluate_miss_rate,
    miss_rate_curve,
)
from mmspec.registry import METRICS

BOX = [100, 100, 40, 80]  # x, y, width, height
FRAMES = ("set06/V000/I00019", "set09/V000/I00019")  # by day, by night


def sample(truth, predicted, frame=FRAMES[0]):
    """truth: (box, occlusion, ignored); predicted: (box, score)."""
    set_, video, image = frame.split("/")

    def corners(box):
        x, y, width, height = box
        return [x, y, x + width, y + height]

    boxes = [corners(box) for box, _ in predicted]
    return dict(
        img_path=f"data/KAIST/images/{set_}/{video}/lwir/{image}.jpg",
        ori_shape=(512, 640),
        instances=[
            dict(bbox=corners(box), bbox_label=0, occlusion=o, ignore_flag=i) for box, o, i in truth
        ],
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor([score for _, score in predicted], dtype=torch.float32),
            labels=torch.zeros(len(predicted), dtype=torch.int64),
        ),
    )


def evaluate(samples, metric=None):
    metric = metric or MissRateMetric(settings=tuple(SETTINGS))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def rate(truth, predicted, setting="Reasonable"):
    return evaluate([sample(truth, predicted)])[f"MR/{setting}/All"]


def geometric_mean(*rates):
    return 100 * math.exp(np.log(rates).mean())


def test_a_hit_a_miss_and_nothing_found():
    person, other = (BOX, 0, 0), ([300, 100, 40, 80], 0, 0)
    assert rate([person], [(BOX, 0.9)]) == pytest.approx(100 * 1e-10)
    assert rate([person, other], [(BOX, 0.9)]) == pytest.approx(50)
    assert rate([person, other], []) == 100
    assert rate([person], [([300, 300, 40, 80], 0.9)]) == 100


def test_false_positives_above_the_hit():
    # One image: the false positive is 1 per image, which only the last of the nine points allows.
    found = rate([(BOX, 0, 0), ([300, 100, 40, 80], 0, 0)], [([400, 300, 40, 80], 0.9), (BOX, 0.8)])
    assert found == pytest.approx(geometric_mean(*[1.0] * 8, 0.5))
    # With the hit before it, all nine are reached.
    found = rate([(BOX, 0, 0), ([300, 100, 40, 80], 0, 0)], [([400, 300, 40, 80], 0.7), (BOX, 0.8)])
    assert found == pytest.approx(50)


def test_points_among_many_images():
    # 100 images, a false positive in the first 10: from 0.1 per image on all of them are passed.
    false, hit = ([400, 300, 40, 80], 0.9), (BOX, 0.5)
    images = [
        sample([(BOX, 0, 0)], [false] * (number < 10) + [hit] * (number < 25))
        for number in range(100)
    ]
    metric = MissRateMetric(settings=("Reasonable",))
    found = evaluate(images, metric)
    assert found["MR/Reasonable/All"] == pytest.approx(geometric_mean(*[1.0] * 4, *[0.75] * 5))
    curve = metric.curves["Reasonable", "All"]
    assert curve.at_points.tolist() == [1.0] * 4 + [0.75] * 5
    assert (curve.objects, curve.images) == (100, 100)
    assert curve.fppi[9] == FPPI_POINTS[4] and curve.miss_rate[-1] == 0.75


def test_overlap_of_exactly_half_is_a_hit_and_less_is_not():
    wide = [100, 100, 80, 80]
    assert rate([(BOX, 0, 0)], [(wide, 0.9)]) < 1e-6
    assert rate([(BOX, 0, 0)], [([100, 100, 81, 80], 0.9)]) == 100


def test_a_box_is_found_once():
    found = rate([(BOX, 0, 0), ([300, 100, 40, 80], 0, 0)], [(BOX, 0.9), (BOX, 0.8)])
    assert found == pytest.approx(50)  # the second is a false positive below the hit
    metric = MissRateMetric(settings=("Reasonable",))
    evaluate([sample([(BOX, 0, 0)], [(BOX, 0.9), (BOX, 0.8)])], metric)
    assert metric.curves["Reasonable", "All"].fppi.tolist() == [0, 1]


def test_the_best_score_takes_the_nearest_free_box():
    near = [104, 100, 40, 80]
    # Both detections overlap both boxes by half; the first takes its own, the other what is left.
    found = rate([(BOX, 0, 0), (near, 0, 0)], [(near, 0.9), (near, 0.8)])
    assert found < 1e-6


@pytest.mark.parametrize("ignored", [([100, 100, 200, 200], 0, 1), ([100, 100, 200, 200], 2, 0)])
def test_in_an_ignored_region_nothing_counts(ignored):
    inside = [([110, 110, 40, 80], 0.9), ([200, 110, 40, 80], 0.9)]
    metric = MissRateMetric(settings=("Reasonable",))
    person = ([400, 100, 40, 80], 0, 0)
    found = evaluate([sample([person, ignored], [*inside, ([400, 100, 40, 80], 0.5)])], metric)
    assert found["MR/Reasonable/All"] < 1e-6
    assert metric.curves["Reasonable", "All"].fppi.tolist() == [0]
    # By half of the detection's own area, not of the union; less than half is false.
    partly = [100 - 21, 100, 40, 80]
    evaluate([sample([person, ignored], [(partly, 0.9)])], metric)
    assert metric.curves["Reasonable", "All"].fppi.tolist() == [1]


def test_a_person_counts_before_an_ignored_region_does():
    region = ([90, 90, 60, 100], 0, 1)
    assert rate([region, (BOX, 0, 0)], [(BOX, 0.9)]) < 1e-6


@pytest.mark.parametrize(
    ("height", "occlusion", "settings"),
    [
        (54, 0, {"All", "medium", "none", "Reasonable_small"}),
        (55, 0, {"All", "Reasonable", "medium", "none", "Reasonable_small"}),
        (115, 0, {"All", "Reasonable", "near", "medium", "none"}),
        (116, 0, {"All", "Reasonable", "near", "none"}),
        (45, 0, {"All", "medium", "far", "none"}),
        (19, 0, {"far", "none"}),
        (80, 1, {"All", "Reasonable", "partial"}),
        (75, 1, {"All", "Reasonable", "partial", "Reasonable_small"}),
        (80, 2, {"All", "heavy", "Reasonable_occ=heavy"}),
        (49, 2, {"All", "heavy"}),
    ],
)
def test_settings(height, occlusion, settings):
    found = evaluate([sample([([100, 100, 30, height], occlusion, 0)], [])])
    counted = {name for name in SETTINGS if not math.isnan(found[f"MR/{name}/All"])}
    assert counted == settings


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        ([5, 100, 40, 80], True),
        ([4, 100, 40, 80], False),
        ([100, 4, 40, 80], False),
        ([595, 427, 40, 80], True),
        ([596, 400, 40, 80], False),
        ([100, 428, 40, 80], False),
    ],
)
def test_truth_at_the_edge_is_ignored(box, counts):
    assert math.isnan(rate([(box, 0, 0)], [])) != counts


def test_day_and_night():
    found = evaluate(
        [sample([(BOX, 0, 0)], [(BOX, 0.9)]), sample([(BOX, 0, 0)], [], FRAMES[1])],
        MissRateMetric(settings=("Reasonable", "near")),
    )
    assert found["MR/Reasonable/Day"] < 1e-6
    assert found["MR/Reasonable/Night"] == 100
    assert found["MR/Reasonable/All"] == pytest.approx(50)
    assert all(math.isnan(found[f"MR/near/{time}"]) for time in TIMES)
    assert [is_night(name) for name in ("set02/V000/I00001", "set05/", "x", None)] == [
        False, True, None, None,
    ]  # fmt: skip


def test_names_of_frames():
    assert frame_of("a/set06/b/images/set07/V001/visible/I00039.jpg") == "set07/V001/I00039"
    assert frame_of("set07_V001_I00039.png") == frame_of("set07/V001/I00039") == "set07/V001/I00039"
    assert frame_of("00001D.png") is None


def test_curve_without_a_detection():
    curve = miss_rate_curve(np.zeros(0, np.int64), 3, 2)
    assert curve.log_average == 1 and len(curve.fppi) == 0


def test_names_and_a_part_of_the_images():
    metric = METRICS.build(dict(type="mmspec.MissRateMetric", prefix="K"))
    day = sample([(BOX, 0, 0), ([400, 100, 40, 80], 0, 1)], [(BOX, 0.5), ([400, 100, 40, 80], 0.9)])
    found = evaluate([sample([(BOX, 0, 0)], [], FRAMES[1]), day], metric)
    assert found["K/Reasonable/Day"] < 1e-6 and found["K/Reasonable/Night"] == 100
    assert metric.curves["Reasonable", "Day"].fppi.tolist() == [0]
    evaluate([day], metric)
    assert metric.curves["Reasonable", "All"].objects == 1


def test_what_is_missing_is_named():
    without = sample([], [])
    del without["instances"]
    with pytest.raises(KeyError, match=r"I00019.jpg: its truth.*meta_keys"):
        evaluate([without])
    untold = sample([(BOX, 0, 0)], [])
    del untold["instances"][0]["occlusion"]
    with pytest.raises(KeyError, match=r"I00019.jpg.*'occlusion', by which Reasonable"):
        evaluate([untold])
    assert evaluate([untold], MissRateMetric(settings=("All",)))["MR/All/All"] == 100
    with pytest.raises(ValueError, match=r"unknown \['Reasonble'\]; known: Reasonable"):
        MissRateMetric(settings=("Reasonble",))
    broken = sample([], [([math.nan, 0, 9, 9], 0.5)])
    with pytest.raises(ValueError, match="not finite"):
        evaluate([broken])
    other = sample([], [(BOX, 0.5)])
    other["pred_instances"]["labels"] += 1
    with pytest.raises(ValueError, match="label is not 0"):
        evaluate([other])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bbox", [140.0, 100, 100, 180], "true boxes have x2 < x1 or y2 < y1: 1 of 1"),
        ("bbox", [140.0, 100, math.nan, 180], "true boxes are not finite"),
        ("bbox_label", 1, "true label is not 0"),  # another class is no pedestrian
        ("occlusion", 3, "an occlusion is 3; it is 0 .none., 1"),
    ],
)
def test_truth_that_cannot_be_used_is_named(key, value, message):
    wrong = sample([(BOX, 0, 0)], [])
    wrong["instances"][0][key] = value
    with pytest.raises(ValueError, match=f"I00019.jpg: {message}"):
        evaluate([wrong])


def test_predictions_that_cannot_be_used_are_named():
    reversed_ = sample([], [([100, 100, -5, 80], 0.5)])
    with pytest.raises(ValueError, match=r"I00019.jpg: predicted boxes have x2 < x1"):
        evaluate([reversed_])
    short = sample([], [(BOX, 0.5)])
    short["pred_instances"]["scores"] = torch.zeros(0)
    with pytest.raises(ValueError, match=r"I00019.jpg: predicted 1 boxes with 0 scores"):
        evaluate([short])


def kaist_test(folder, *annotations):
    """A test part of KAIST with these entries."""
    for side in ("lwir", "visible"):
        (folder / f"images/set06/V000/{side}").mkdir(parents=True, exist_ok=True)
        (folder / f"images/set06/V000/{side}/I00019.jpg").touch()
    name = "images/set06/V000/{}/I00019.jpg"
    image = dict(id=0, file_name=name.format("lwir"), visible_file_name=name.format("visible"))
    entry = dict(category_id=1, image_id=0, bbox=BOX)
    content = dict(
        images=[image | dict(width=640, height=512)],
        annotations=[entry | dict(id=i) | changes for i, changes in enumerate(annotations)],
        categories=[dict(id=1, name="person")],
    )
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations/test.json").write_text(json.dumps(content))
    return KAISTDataset(str(folder), split="test", modality="both", test_mode=True)


def test_occlusion_travels_in_the_instances(tmp_path):
    dataset = kaist_test(tmp_path, dict(occlusion=2), dict(occlusion=0, iscrowd=1), dict(iscrowd=1))
    instances = dataset.get_data_info(0)["instances"]
    assert [one.get("occlusion") for one in instances] == [2, 0, None]
    MissRateMetric().dataset_meta = dataset.metainfo


def test_a_file_without_occlusion_is_refused_before_a_training(tmp_path):
    """mmengine hands the data set's metainfo over when it builds the loop of the validation."""
    untold = kaist_test(tmp_path, dict(occlusion=0), {}).metainfo
    with pytest.raises(KeyError, match=r"test.json: a true box has no 'occlusion', by which Reas"):
        MissRateMetric().dataset_meta = untold
    metric = MissRateMetric(settings=("All",))
    metric.dataset_meta = untold
    assert metric.dataset_meta["classes"] == ("person",)


def test_evaluation_leaves_its_inputs_alone(data_root):
    truth = read_truth(data_root / "kaist_eval/KAIST_annotation.json")
    before = truth.ignored.copy()
    nothing = Detections(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
    curves = evaluate_miss_rate(truth, nothing, ("far", "Reasonable"))
    assert (truth.ignored == before).all()
    assert curves["Reasonable", "All"].objects == 1455
