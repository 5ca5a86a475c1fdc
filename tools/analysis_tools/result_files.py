"""The images of a test with their truth, and files of predictions on them from any program."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kaist_files import FileFormatError, coco_results
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, init_default_scope

from mmspec.datasets.files import (
    IMAGE_SUFFIXES,
    Fault,
    find_by_end,
    find_images,
    index_by_name,
    named,
    without_suffix,
)
from mmspec.datasets.image_io import decode_image
from mmspec.datasets.label_io import read_label_values
from mmspec.engine.launch import LaunchError, read_config
from mmspec.evaluation import SaliencyMetric, SmallTargetMetric
from mmspec.text_files import each_once, read_json, read_lines, read_names

#: Folders of tools/predict.py that hold the results of each kind.
PREDICTED = dict(
    maps=("probabilities", "saliency"), labels=("labels",), boxes=("predictions.json",)
)
SUFFIXES = dict(maps=(*IMAGE_SUFFIXES, ".npy", ".npz"), labels=IMAGE_SUFFIXES, boxes=(".txt",))
_FULL = {np.dtype(bool): 1, np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


@dataclass(frozen=True)
class TestImage:
    """An image that is scored: its name below the folder of images, and what the data set says."""

    name: str
    info: dict
    label_steps: Sequence

    def sample(self) -> dict:
        """The data sample of a test, still without predictions."""
        info = dict(self.info)
        for step in self.label_steps:
            info = step(info)
        if "gt_seg_map" in info:
            labels = info.pop("gt_seg_map")
            info |= dict(gt_sem_seg=dict(data=torch.from_numpy(labels)[None]))
            info["ori_shape"] = labels.shape
        else:
            info["ori_shape"] = info["height"], info["width"]
        return info


@dataclass
class Test:
    """A test set with its metrics.

    Attributes:
        kind: of its predictions: 'boxes', 'labels' (a class for every pixel) or 'maps' (a score).
    """

    images: list[TestImage]
    evaluator: Evaluator
    kind: str
    classes: Sequence[str]
    dataset: object


def _entries(source: str, key: str, entries: list, *needed: str) -> list[dict]:
    """The objects of a list of a JSON file; one that lacks a key is an error."""
    for index, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        if not (isinstance(entry, dict) and entry.keys() >= set(needed)):
            needs = " and ".join(map(repr, needed))
            raise FileFormatError(f"{source}: {key}: entry {index} is {entry!r}, without {needs}")
    return entries


def read_test(source: str, options: Sequence[str] = ()) -> Test:
    """The test of a config, or of a COCO annotation file with its own classes.

    Raises:
        LaunchError, FileNotFoundError, ValueError: there is none, or its data cannot be used.
    """
    if source.endswith(".json"):
        categories = read_json(source)
        categories = categories.get("categories") if isinstance(categories, dict) else None
        if not categories:
            raise FileFormatError(f"{source}: not a COCO annotation file with 'categories'")
        categories = _entries(source, "categories", categories, "name")
        tested = dict(
            type="mmspec.InfraredDetDataset",
            data_root="",
            ann_file=os.path.abspath(source),
            metainfo=dict(classes=tuple(entry["name"] for entry in categories)),
            backend_args=dict(backend="local"),  # boxes are scored without the images
            test_mode=True,
        )
        metrics = dict(type="mmspec.DetectionMetric")
    else:
        cfg = read_config(source, options)
        if cfg.get("test_dataloader") is None:
            raise LaunchError(f"{source} has no test_dataloader: there is nothing to score")
        init_default_scope(cfg.get("default_scope", "mmengine"))
        tested, metrics = cfg.test_dataloader.dataset, cfg.test_evaluator
    dataset = DATASETS.build(tested)
    parts = getattr(dataset, "datasets", [dataset])
    images = [one for part in parts for one in _images_of(part, several=len(parts) > 1)]
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dataset.metainfo
    of_maps = any(isinstance(x, SmallTargetMetric | SaliencyMetric) for x in evaluator.metrics)
    kind = "boxes" if "instances" in images[0].info else "maps" if of_maps else "labels"
    return Test(images, evaluator, kind, dataset.metainfo["classes"], parts[0])


def _images_of(dataset, several: bool) -> Iterable[TestImage]:
    steps = [x for x in dataset.pipeline.transforms if type(x).__name__ == "LoadSegmentationLabels"]
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        if "img_path" not in info:
            raise LaunchError(
                f"{type(dataset).__name__}: its images are made up, there are no files"
            )
        roots = [str(x).partition("{")[0] for x in dataset.data_prefix.values()]
        root = max((x for x in roots if info["img_path"].startswith(x)), key=len, default="")
        name = without_suffix(os.path.relpath(info["img_path"], root or "."))
        if several:
            name = f"{info.get('dataset_name') or type(dataset).__name__}/{name}"
        yield TestImage(name, info, steps if "instances" not in info else ())


def chosen(images: Sequence[TestImage], subset: str | None) -> list[TestImage]:
    """The images that a list names, all without one.

    Raises:
        ValueError: the list is empty or names other images.
    """
    if subset is None:
        return list(images)
    names = each_once(map(without_suffix, read_names(subset)), subset)
    by_name = {image.name: image for image in images}
    found = find_by_end(names, by_name, subset)
    if absent := [Fault(name, "not an image of the test") for name in names if name not in found]:
        raise FileFormatError(f"{subset}: {len(absent):,} names are unknown{named(absent)}")
    if not names:
        raise FileFormatError(f"{subset}: an empty list")
    return [by_name[name] for name in dict.fromkeys(found.values())]


class ResultFolder:
    """A file for each image: scores, classes, or boxes in YOLO's text format.

    Args:
        folder: of the files; their names below it fit those of the images by the rule of
            :func:`find_by_end`, with ``suffix`` before the file type's own.
        test: what is scored.
        scored: which of its images; results of the others are left aside.
        suffix: what the program adds to names, such as '_pred'.
        extra: take no offence at results of images that are not in the test.
        coded: labels hold the data set's own pixel values, not numbers of classes.

    Raises:
        FileFormatError: no files, images without a result, or results without an image.
    """

    def __init__(
        self,
        folder: str,
        test: Test,
        scored: Sequence[TestImage],
        suffix: str = "",
        extra: bool = False,
        coded: bool = False,
    ) -> None:
        self.test, self.coded, self.highest, self.deep = test, coded, 0, False
        found, faults = index_by_name(folder, find_images(folder, SUFFIXES[test.kind]))
        if test.kind == "boxes":  # whose suffix is no image's
            found = {name.removesuffix(".txt"): path for name, path in found.items()}
        stems = {name: name.removesuffix(suffix) for name in found if name.endswith(suffix)}
        images = find_by_end(stems.values(), (image.name for image in test.images), folder)
        self.paths: dict[str, str] = {}
        for name, path in found.items():
            image = images.get(stems.get(name))
            if name not in stems:
                faults.append(Fault(path, f"without {suffix!r} at the end of its name"))
            elif image is None and not extra:
                faults.append(Fault(path, "not an image of the test"))
            elif image in self.paths:
                faults.append(Fault(path, f"a second result, beside {self.paths[image]}"))
            elif image is not None:
                self.paths[image] = path
        absent = [image.name for image in scored if image.name not in self.paths]
        if test.kind != "boxes":  # YOLO writes no file where nothing is found
            faults += [Fault(name, f"no result in {folder}") for name in absent]
        elif absent:
            print(f"{len(absent):,} of {len(scored):,} images have no file, and so no detection")
        if faults:
            raise FileFormatError(
                f"{folder}: {len(faults):,} results do not fit the {len(scored):,} images; for"
                " predictions on more images than the test's give --extra, for names such as"
                f" NAME_pred.png --suffix _pred{named(faults)}"
            )

    def __call__(self, image: TestImage, sample: dict) -> dict:
        """What is predicted, as the sample's own fields."""
        path = self.paths.get(image.name)
        if self.test.kind == "boxes":
            rows = [] if path is None else _yolo_rows(path, *sample["ori_shape"])
            return _instances(rows)
        if self.test.kind == "maps":
            values, full = read_map(path)
            self.highest, self.deep = max(self.highest, values.max()), self.deep or full <= 1
            found = values / full if full else values
            key, values = "seg_logits", found.astype(np.float64)
        else:
            key, values = "pred_sem_seg", self._classes(path)
        if values.shape != sample["ori_shape"]:
            height, width = sample["ori_shape"]
            raise FileFormatError(
                f"{path}: {values.shape[1]} x {values.shape[0]} pixels, the truth is {width} x"
                f" {height}; scores are taken at its size: bring the result to it first"
            )
        return {key: dict(data=torch.from_numpy(values)[None])}

    def _classes(self, path: str) -> np.ndarray:
        values = read_label_values(Path(path).read_bytes(), path)
        if self.coded:
            values = self.test.dataset.label_codes.decode(values, path)
        count = len(self.test.classes)
        wrong = values >= count
        if wrong.any():
            listed = ", ".join(map(str, np.unique(values[wrong])[:8]))
            raise FileFormatError(
                f"{path}: {wrong.sum():,} of {values.size:,} pixels are of class {listed}; there"
                f" are {count} classes, 0 {self.test.classes[0]} to {count - 1}"
                f" {self.test.classes[-1]}. If these are the data set's own label values, give"
                " --coded"
            )
        return values.astype(np.int64)

    def check(self) -> None:
        """Say so where masks of 0 and 1 were read as scores of 255 levels."""
        if self.test.kind == "maps" and not self.deep and self.highest == 1:
            raise FileFormatError(
                "all maps end at level 1: masks of 0 and 1? Scores are 0 to 255 (16 bits: 65535);"
                " write a mask's pixels as 0 and 255"
            )


def read_map(path: str) -> tuple[np.ndarray, int]:
    """A score for every pixel, (H, W), and the value of the score 1; 0 where these are shares.

    Raises:
        FileFormatError: a palette, colours, more than one channel, or numbers outside 0 to 1.
    """
    if path.endswith((".npy", ".npz")):
        try:
            content = np.load(path, allow_pickle=False)
            if path.endswith(".npz"):
                names = content.files
                if len(names) != 1 and "probabilities" not in names:
                    raise ValueError(f"arrays {', '.join(names)}, and none is 'probabilities'")
                content = content["probabilities" if "probabilities" in names else names[0]]
        except (OSError, ValueError, EOFError) as error:
            raise FileFormatError(f"{path}: not an array of scores ({error})") from None
        values = content.squeeze()
        if values.ndim != 2:
            raise FileFormatError(f"{path}: an array of {content.shape}, not one channel (H, W)")
    else:
        image = decode_image(Path(path).read_bytes(), path)
        values = np.array(image)
        if image.mode == "P":
            raise FileFormatError(
                f"{path}: a palette PNG; its indices are no scores: write 8- or 16-bit gray, or a"
                " .npy of shares"
            )
        if values.ndim == 3 and (values == values[..., :1]).all():
            values = values[..., 0]
        if values.ndim != 2:
            raise FileFormatError(
                f"{path}: a picture in colours ({image.mode}), not scores in gray"
            )
        if values.dtype == np.int32 and 0 <= values.min() <= values.max() <= 65535:
            values = values.astype(np.uint16)  # Pillow's kind of 16-bit gray
    full = _FULL.get(values.dtype, 0)
    if not full and not (np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 1):
        raise FileFormatError(
            f"{path}: numbers from {values.min():.4g} to {values.max():.4g} ({values.dtype}), not"
            " shares from 0 to 1; apply the sigmoid to logits"
        )
    return values, full


class BoxFile:
    """Detections of all images in one file, by COCO's ids or, as of ``predict``, by file names.

    Args:
        path: a list of COCO results, where images without one have no detection; or a COCO file
            with 'images', which lists those too, and scores in 'annotations'.
        test, scored, extra: see :class:`ResultFolder`.

    Raises:
        FileFormatError: not such a file, an entry of an unknown image or category, or 'images' that
            are not those of the test.
    """

    def __init__(
        self, path: str, test: Test, scored: Sequence[TestImage], extra: bool = False
    ) -> None:
        content, info = read_json(path), test.images[0].info
        if isinstance(content, dict) and "images" in content:
            listed = _entries(path, "images", content["images"], "id", "file_name")
            names = {entry["id"]: str(entry["file_name"]) for entry in listed}
            tested = (image.name for image in test.images)
            found = find_by_end(names.values(), tested, path, longer=True)
            images = {key: found[name] for key, name in names.items() if name in found}
            surplus = [] if extra else [name for name in names.values() if name not in found]
            faults = [Fault(name, "not an image of the test") for name in surplus]
            times = Counter(images.values())
            faults += [
                Fault(image.name, f"{times[image.name] or 'no'} images of this name")
                for image in scored
                if times[image.name] != 1
            ]
            if faults:
                raise FileFormatError(
                    f"{path}: {len(faults):,} images do not fit the {len(scored):,} that are"
                    " scored; for predictions on more images than the test's give --extra, on"
                    f" fewer --subset{named(faults)}"
                )
            if threshold := (content.get("info") or {}).get("score_threshold"):
                print(
                    f"{path}: holds no boxes of scores below {threshold:g}, which average precision"
                    " counts too: predict with --score-thr 0"
                )
            categories, source = content.get("categories", ()), path
            content = content.get("annotations", content)
        else:
            images = {image.info["img_id"]: image.name for image in test.images}
            truth, keys = read_json(info["ann_file"]), test.dataset.COCO_KEYS
            categories = truth.get("categories", truth.get(keys.get("categories"), ()))
            source = info["ann_file"]
        categories = _entries(source, "categories", categories, "id", "name")
        names = {entry["id"]: entry["name"] for entry in categories}
        label = {name: i for i, name in enumerate(test.classes)}
        self.rows: dict[str, list[tuple]] = {image.name: [] for image in test.images}
        left_out = of_others = 0
        for name, category, (key, x, y, width, height, score) in coco_results(path, content):
            if key not in images and extra:
                of_others += 1
                continue
            if key not in images:
                first = next(iter(images), None)
                raise FileFormatError(
                    f"{name}: image_id {key!r} is not among the {len(images):,} ids of {source},"
                    f" such as {first!r}; ids are those of the annotation file, not names of files;"
                    " --extra leaves others aside"
                )
            if category not in names:
                listed = ", ".join(f"{i} {text}" for i, text in names.items())
                raise FileFormatError(
                    f"{name}: category_id {category!r} is not in {source}: {listed}"
                )
            left_out += names[category] not in label
            if not (np.isfinite([x, y, width, height, score]).all() and min(width, height) >= 0):
                raise FileFormatError(
                    f"{name}: bbox {[x, y, width, height]} of score {score} is no box"
                )
            if names[category] in label:
                box = x, y, x + width, y + height, label[names[category]], score
                self.rows[images[key]].append(box)
        if of_others:
            print(f"{path}: {of_others:,} detections of images that are not in the test left out")
        if left_out:
            print(f"{path}: {left_out:,} detections of categories that are no classes left out")
        if empty := sum(not self.rows[image.name] for image in scored):
            print(f"{path}: {empty:,} of {len(scored):,} images have no detection")

    def __call__(self, image: TestImage, sample: dict) -> dict:
        return _instances(self.rows[image.name])

    def check(self) -> None:
        """Everything was checked at the start."""


def _yolo_rows(path: str, height: int, width: int) -> list[tuple]:
    """Lines of class, centre x, y, width and height as shares of the image's, and score."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            label, x, y, w, h, score = map(float, line.split())
        except ValueError:
            raise FileFormatError(
                f"{path}: line {number}: {line!r}, not class, x, y, width, height and score (with"
                " ultralytics save_txt=True save_conf=True)"
            ) from None
        if label % 1 or max(x, y, w, h) > 2:
            raise FileFormatError(
                f"{path}: line {number}: {line!r}: the class is a whole number, the box are shares"
                " of the image's width and height, not pixels"
            )
        x, y, w, h = x * width, y * height, w * width, h * height
        rows.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2, label, score))
    return rows


def _instances(rows: Sequence[tuple]) -> dict:
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    boxes, labels, scores = table[:, :4], table[:, 4].long(), table[:, 5]
    return dict(pred_instances=dict(bboxes=boxes, labels=labels, scores=scores))


def results_of(
    path: str, test: Test, scored: Sequence[TestImage], **options: str | bool
) -> ResultFolder | BoxFile:
    """What gives the predictions of each image: see :class:`ResultFolder`, :class:`BoxFile`.

    Args:
        path: a folder, also what ``predict`` made, or a JSON file of boxes.
        options: of :class:`ResultFolder`.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"no file or folder {path}")
    if os.path.isdir(path) and os.path.isfile(os.path.join(path, "summary.csv")):  # of predict
        known = [os.path.join(path, name) for name in PREDICTED[test.kind]]
        hint = "; predict again with --probabilities" * (test.kind == "maps")
        found = [x for x in known if os.path.exists(x)]
        if not found:
            raise FileFormatError(f"{path}: no {' and no '.join(PREDICTED[test.kind])}{hint}")
        path = found[0]
    if os.path.isdir(path):
        return ResultFolder(path, test, scored, **options)
    if test.kind != "boxes":
        raise FileFormatError(f"{path}: a folder with a file for each image is needed")
    return BoxFile(path, test, scored, bool(options.get("extra")))
