"""The detection metric against counts done by hand, pycocotools and mmdet's."""

import contextlib
import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run

from mmspec.evaluation import DetectionMetric
from mmspec.evaluation.average_precision import BoxTable, precision_and_recall
from mmspec.evaluation.detection import table_row

CLASSES = ("Person", "Car", "Bus")


def sample(truth, predicted, image=0) -> dict:
    """truth: (box, label, ignore); predicted: (box, score, label)."""
    boxes, scores, labels = zip(*predicted) if predicted else ((), (), ())
    return dict(
        img_id=image,
        img_path=f"ir/{image:05d}.png",
        ori_shape=(480, 640),
        instances=[dict(bbox=b, bbox_label=c, ignore_flag=i) for b, c, i in truth],
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor(scores, dtype=torch.float32),
            labels=torch.tensor(labels, dtype=torch.int64),
        ),
    )


def evaluate(samples: list[dict], metric=None) -> dict:
    metric = DetectionMetric() if metric is None else metric
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def random_samples(count: int = 12) -> list[dict]:
    rng = np.random.default_rng(0)

    def boxes(number):
        corner = rng.uniform(0, 300, (number, 2))
        return np.concatenate([corner, corner + rng.uniform(8, 200, (number, 2))], 1)

    samples = []
    for image in range(count):
        true = boxes(rng.integers(1, 8))
        labels = rng.integers(0, 2, len(true))  # no bus
        truth = [(b.tolist(), int(c), int(rng.random() < 0.1)) for b, c in zip(true, labels)]
        near = true + rng.normal(0, 6, true.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        found = [
            (b.tolist(), float(rng.random()), int(c))
            for b, c in zip(
                np.concatenate([near, boxes(4)]), np.concatenate([labels, rng.integers(0, 3, 4)])
            )
        ]
        samples.append(sample(truth, found, image))
    return samples


def test_by_hand():
    person, car = [10.0, 10, 50, 90], [100.0, 100, 200, 200]
    missed, small = [300.0, 300, 400, 400], [5.0, 5, 15, 15]
    samples = [
        sample(
            [(person, 0, 0), (car, 1, 0), (missed, 1, 0)],
            # A car whose IoU is 0.9 x 1 / 1 = 0.9, one false person below the true one.
            [
                (person, 0.9, 0),
                ([100.0, 100, 200, 190], 0.8, 1),
                ([400.0, 10, 440, 90], 0.3, 0),
            ],
        ),
        sample([(small, 0, 0)], [], 1),
    ]
    found = evaluate(samples)
    # One of two cars with precision 1 gives recalls 0 to 0.50: 51 of the 101 points.
    half = 100 * 51 / 101
    assert found["AP50/Person"] == pytest.approx(half)  # one of two, the false one comes later
    assert found["AP50/Car"] == pytest.approx(half)
    assert math.isnan(found["AP50/Bus"])
    assert found["AP50"] == pytest.approx(half)
    # Persons count at all ten IoUs, cars (0.9) at nine of them.
    assert found["mAP"] == pytest.approx((half + half * 0.9) / 2, abs=1e-9)
    assert found["AP_small"] == 0
    assert list(table_row(found, CLASSES)) == [*CLASSES, "mAP", "AP50", "AP_small"]


def test_ignored_truth_costs_nothing():
    box, crowd = [10.0, 10, 50, 90], [100.0, 100, 300, 300]
    found = evaluate(
        [sample([(box, 0, 0), (crowd, 0, 1)], [(box, 0.5, 0), ([150.0, 150, 200, 200], 0.9, 0)])]
    )
    assert found["AP50/Person"] == 100


def test_no_prediction_and_no_truth():
    nothing = evaluate([sample([([0.0, 0, 9, 9], 0, 0)], [])])
    assert nothing["mAP"] == nothing["AR100"] == nothing["AP50/Person"] == 0
    empty = evaluate([sample([], [([0.0, 0, 9, 9], 0.5, 0)])])
    assert math.isnan(empty["mAP"])


def of_coco(found: BoxTable, true: BoxTable, num_classes: int, images: int, backend: str):
    """Precision and recall by a published evaluation."""
    if backend == "faster_coco_eval":
        module = pytest.importorskip("faster_coco_eval")
        coco, coco_eval = module.COCO, module.COCOeval_faster
    else:
        from pycocotools.coco import COCO as coco
        from pycocotools.cocoeval import COCOeval as coco_eval

    def dataset(table: BoxTable, values: str):
        of_all = coco()
        of_all.dataset = dict(
            images=[dict(id=image) for image in range(images)],
            categories=[dict(id=label, name=str(label)) for label in range(num_classes)],
            annotations=[
                dict(
                    dict(iscrowd=0),
                    id=number + 1,
                    image_id=int(table.image[number]),
                    category_id=int(table.label[number]),
                    bbox=[*table.corners[number].tolist(), *table.sizes[number].tolist()],
                    area=float(table.areas[number]),
                    **{values: type(0 if values == "iscrowd" else 0.0)(table.scores[number])},
                )
                for number in range(len(table))
            ],
        )
        of_all.createIndex()
        return of_all

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = coco_eval(dataset(true, "iscrowd"), dataset(found, "score"), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    shape = (10, 101, num_classes, 4, 3)
    precision = np.asarray(evaluation.eval["precision"]).reshape(shape)[..., -1]
    return precision, np.asarray(evaluation.eval["recall"]).reshape(10, num_classes, 4, 3)[..., -1]


def crowded_scenes(seed: int, images: int) -> tuple[BoxTable, BoxTable]:
    """Boxes on a coarse grid with few scores: ties in overlap and in score, crowds, all sizes."""
    rng = np.random.default_rng(seed)

    def table(counts, scores):
        image = np.repeat(np.arange(images), counts)
        size = 4 * rng.choice([4, 7, 8, 9, 22, 24, 26], (len(image), 2))
        corners = 4 * rng.integers(0, 6, (len(image), 2))
        shuffled = rng.permutation(len(image))  # the images' rows need not stand together
        columns = (image[shuffled], rng.integers(0, 2, len(image)), corners.astype(float))
        return BoxTable(*columns, size.astype(float), scores(len(image)))

    true = table(rng.integers(0, 12, images), lambda n: (rng.random(n) < 0.2).astype(float))
    # More than 100 of a class in some images.
    found = table(rng.choice([0, 5, 60, 260], images), lambda n: rng.integers(1, 9, n) / 8)
    return found, true


@pytest.mark.parametrize("backend", ["pycocotools", "faster_coco_eval"])
@pytest.mark.parametrize("seed", range(3))
def test_same_numbers_as_the_published_evaluations(backend, seed):
    found, true = crowded_scenes(seed, images=12)
    precision, recall = precision_and_recall(found, true, num_classes=3)
    wanted = of_coco(found, true, 3, 12, backend)
    assert precision == pytest.approx(wanted[0], abs=1e-12)
    assert recall == pytest.approx(wanted[1], abs=1e-12)
    assert 0.02 < precision[0, ..., :2, 0].mean() < 0.9
    assert (precision[:, :, 2] == -1).all() and (precision[:, :, :2] > -1).all()


def test_same_means_as_mmdet():
    from mmdet.evaluation import CocoMetric

    ours = evaluate(random_samples())
    mmdet = evaluate(random_samples(), CocoMetric(prefix=""))
    names = dict(
        mAP="mAP",
        AP50="mAP_50",
        AP75="mAP_75",
        AP_small="mAP_s",
        AP_medium="mAP_m",
        AP_large="mAP_l",
    )
    for name, theirs in names.items():
        value = next(v for k, v in mmdet.items() if k.endswith(f"bbox_{theirs}"))
        assert ours[name] == pytest.approx(100 * value, abs=0.051), name


def changed(part: str, **values) -> dict:
    """A sample of two good predictions and a good object, with a fault."""
    box, other = [10.0, 10, 50, 90], [100.0, 100, 200, 200]
    one = sample([(box, 0, 0)], [(box, 0.5, 0), (other, 0.4, 1)], 7)
    if part == "true":
        one["instances"][0].update(values)
    else:
        one["pred_instances"].update({key: torch.tensor(value) for key, value in values.items()})
    return one


BOX = [10.0, 10, 50, 90]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (changed("predicted", labels=[0, 3]),
         "predicted labels are none of the data set's 3 classes, 0 to 2: 1 of 2, the first 3"),
        (changed("predicted", labels=[-1, 3]), "0 to 2: 2 of 2, the first -1"),
        (changed("predicted", labels=[0.5, 1]), "0 to 2: 1 of 2, the first 0.5"),
        (changed("true", bbox_label=3), "true labels are none .* 0 to 2: 1 of 1, the first 3"),
        (changed("true", bbox_label=-1), "true labels are none"),
        (changed("predicted", bboxes=[BOX, [50.0, 10, 10, 90]]),
         r"predicted boxes have x2 < x1 or y2 < y1: 1 of 2, the first \[50.0, 10.0, 10.0, 90.0\]"),
        (changed("true", bbox=[10, 90, 50, 10]), "true boxes have x2 < x1 or y2 < y1"),
        (changed("predicted", bboxes=[BOX, [0, math.nan, 1, 1]]), "predicted boxes are not finite"),
        (changed("true", bbox=[10, 90, math.inf, 100]), "true boxes are not finite"),
        (changed("predicted", scores=[0.5, math.nan]), "predicted scores are not finite: 1 of 2"),
        (changed("predicted", scores=[0.5]), "predicted 2 boxes with 1 scores and 2 labels"),
        (changed("predicted", bboxes=[[*BOX, 0.5]] * 2), r"predicted boxes are of shape \(2, 5\)"),
        (changed("true", bbox=[1, 2, 3]), "true instances are dicts with bbox"),
        (changed("true", bbox=None), "true instances are dicts with bbox"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_named(fault, message):
    assert evaluate([changed("true")])["AP50/Person"] == 100
    with pytest.raises(ValueError, match=f"ir/00007.png: .*{message}"):
        evaluate([fault])


def test_predictions_without_a_column_are_named():
    without = changed("true")
    del without["pred_instances"]["scores"]
    with pytest.raises(KeyError, match="ir/00007.png: predicted instances have no scores"):
        evaluate([without])
    del without["pred_instances"]
    with pytest.raises(KeyError, match="ir/00007.png: it came without 'pred_instances'"):
        evaluate([without])


def test_boxes_without_area_are_scored():
    point = [10.0, 10, 10, 10]  # what is left of a prediction outside its image
    found = evaluate([sample([(BOX, 0, 0)], [(point, 0.9, 0), (BOX, 0.5, 0)])])
    assert found["AP50/Person"] == pytest.approx(50)


def test_a_data_set_without_classes():
    metric = DetectionMetric()
    with pytest.raises(ValueError, match="names no classes"):
        metric.process({}, [changed("true")])


MANY = """
import numpy as np
import torch
from processes import run

from mmspec.evaluation import DetectionMetric

rng = np.random.default_rng(0)
metric = DetectionMetric()
metric.dataset_meta = dict(classes=("a", "b", "c"))
for number in range({images}):
    corners = rng.uniform(0, 500, (110, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, 140, (110, 2))], 1)
    boxes[:50] = boxes[100:].repeat(5, 0) + rng.uniform(-4, 4, (50, 4))
    labels = rng.integers(0, 3, 110)
    truth = [
        dict(bbox=box.tolist(), bbox_label=int(label), ignore_flag=0)
        for box, label in zip(boxes[100:], labels[100:])
    ]
    found = dict(
        bboxes=torch.tensor(boxes[:100]),
        scores=torch.tensor(rng.random(100)),
        labels=torch.tensor(labels[:100]),
    )
    metric.process({{}}, [dict(img_path="a.png", instances=truth, pred_instances=found)])
metric.evaluate({images})
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak[0].split()[1]) / 1024)
"""


def peak_memory(script: Path, images: int) -> float:
    """Of a process that evaluates so many images, in MB."""
    script.write_text(MANY.format(images=images))
    done = run(script)
    assert done.returncode == 0, done.output
    return float(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_many_images(tmp_path):
    """Lists of dicts took 150 KB an image of 10 objects and 100 predictions."""
    many, few = (peak_memory(tmp_path / "script.py", images) for images in (2000, 10))
    assert many - few < 0.045 * 2000


def test_samples_without_truth_say_what_to_do():
    without = sample([], [], 7)
    del without["instances"]
    with pytest.raises(KeyError, match=r"ir/00007.png.*'instances'.*meta_keys"):
        evaluate([without])
