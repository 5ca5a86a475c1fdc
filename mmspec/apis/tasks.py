"""What is drawn and written of each kind of prediction: one class a task.

``Predictor`` takes the first of ``TASKS`` that fits the config. Another task is another class here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData
from PIL import Image
from torch import Tensor, nn

from mmspec.conventions import MODALITIES
from mmspec.evaluation.matching import match_errors
from mmspec.evaluation.samples import foreground_probability
from mmspec.evaluation.small_target import THRESHOLD, find_components
from mmspec.visualization import samples as drawing
from mmspec.visualization.matching import WITHIN
from mmspec.visualization.panels import to_levels
from mmspec.visualization.segmentation import background_of, infrared_palette

from .tiles import Window, blended, merged_instances

#: What is written a file an image: a picture, or arrays by name.
Content = Image.Image | Mapping[str, np.ndarray]
Files = dict[str, Content]


class TaskError(ValueError):
    """A config, or an option, that prediction has no way for; the message has the way out."""


class Task:
    """What becomes of a model's data samples; ``classes``: names of its classes, () without."""

    #: A function of :mod:`mmspec.visualization.samples`.
    draw: ClassVar[Callable[..., np.ndarray]]
    #: Names of the classes of models, or bases of them; their frameworks need not be installed.
    models: ClassVar[tuple[str, ...]] = ()
    #: Of a test, where the class alone does not tell the task.
    metric: ClassVar[str] = ""
    #: Score below which a prediction is neither drawn nor written; None: no such thing.
    threshold: ClassVar[float | None] = None
    #: Name of the list in a record that is also written as a CSV file, '' without one.
    table: ClassVar[str] = ""
    #: Whether records are also written as a COCO file.
    coco: ClassVar[bool] = False
    #: Whether files are written of a recording's frames too, as records cannot hold them.
    each_frame: ClassVar[bool] = False

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.classes = tuple(classes)

    @classmethod
    def fits(cls, model: nn.Module, metrics: Sequence[str]) -> bool:
        """Whether a model, tested by metrics of these names, is one for this task."""
        return is_a(model, *cls.models) and (not cls.metric or cls.metric in metrics)

    def run(self, model: nn.Module, batch: dict) -> list[BaseDataElement]:
        """The data samples of a batch, as the metrics of a test get them."""
        return model.test_step(batch)

    def merge(
        self,
        samples: Sequence[BaseDataElement],
        windows: Sequence[Window],
        shape: tuple[int, int],
        model: nn.Module,
    ) -> BaseDataElement:
        """One data sample of an image (H, W) from those of its tiles."""
        raise TaskError(
            f"tiles are for detection and segmentation, not for {type(self).__name__.lower()}:"
            " leave --tile out"
        )

    def picture(
        self, image: Tensor, sample: BaseDataElement, score: float, steady: bool
    ) -> np.ndarray:
        """(H', W', 3) uint8; ``steady``: of one size whatever is found, for video."""
        return self.draw(image, sample, self.classes, score, steady)

    def record(self, sample: BaseDataElement, score: float) -> dict[str, Any]:
        """What was found, ready for JSON."""
        raise NotImplementedError

    def summary(
        self, record: Mapping[str, Any], sample: BaseDataElement
    ) -> dict[str, float | int | str]:
        """A record in a few numbers, the same ones for every image.

        ``best_score`` is that of the best in the sample, below the threshold too.
        """
        return dict(record)

    def files(self, sample: BaseDataElement, score: float, probabilities: bool) -> Files:
        """Files of an image by their folder."""
        return {}


class Detection(Task):
    """Boxes, and masks where the model predicts them."""

    draw = staticmethod(drawing.draw_detection)
    models = ("BaseDetector",)
    threshold = 0.3
    coco = True

    def merge(self, samples, windows, shape, model) -> BaseDataElement:
        whole = samples[0].new(metainfo={**samples[0].metainfo, "ori_shape": shape}, data={})
        found = [sample.pred_instances for sample in samples]
        whole.pred_instances = merged_instances(found, windows, shape)
        return whole

    def record(self, sample, score) -> dict[str, Any]:
        found = sample.pred_instances
        found = found[found.scores >= score]
        boxes = found.bboxes.double().numpy()
        boxes[:, 2:] -= boxes[:, :2]
        known, instances = len(self.classes), []
        for i, (box, value, label) in enumerate(zip(boxes, found.scores, found.labels.tolist())):
            instance = dict(
                category_id=label + 1,
                category=self.classes[label] if label < known else f"class {label}",
                score=round(float(value), 6),
                bbox=box.round(3).tolist(),
                area=round(float(box[2] * box[3]), 3),
            )
            if "masks" in found:
                mask = found.masks[i].numpy()
                instance |= dict(area=int(mask.sum()), segmentation=run_lengths(mask))
            instances.append(instance)
        return dict(instances=instances)

    def summary(self, record, sample) -> dict[str, float | int]:
        names = [instance["category"] for instance in record["instances"]]
        scores = sample.pred_instances.scores
        best = round(float(scores.max()), 6) if len(scores) else ""
        return dict(objects=len(names), best_score=best) | {c: names.count(c) for c in self.classes}


class Segmentation(Task):
    """A class for every pixel."""

    draw = staticmethod(drawing.draw_segmentation)
    models = ("BaseSegmentor",)

    def merge(self, samples, windows, shape, model) -> BaseDataElement:
        whole = samples[0].new(metainfo={**samples[0].metainfo, "ori_shape": shape}, data={})
        logits = blended([sample.seg_logits.data for sample in samples], windows, shape)
        if len(logits) > 1:
            classes = logits.argmax(0, keepdim=True)
        else:  # as mmseg has it
            classes = (logits > model.decode_head.threshold).to(logits)
        whole.seg_logits, whole.pred_sem_seg = PixelData(data=logits), PixelData(data=classes)
        return whole

    def record(self, sample, score) -> dict[str, Any]:
        masks = {name: _labels(sample) == i for i, name in enumerate(self.classes)}
        share = {name: float(mask.mean()) for name, mask in masks.items()}
        if (background := background_of(self.classes)) is not None:
            del masks[self.classes[background]]
        return dict(share=share, masks={n: run_lengths(m) for n, m in masks.items() if m.any()})

    def summary(self, record, sample) -> dict[str, float]:
        return {f"{name} (%)": round(100 * share, 3) for name, share in record["share"].items()}

    def files(self, sample, score, probabilities) -> Files:
        label = Image.fromarray(_labels(sample))
        palette = infrared_palette(len(self.classes), background_of(self.classes))
        label.putpalette(palette.tobytes())
        files = dict(labels=label)
        if probabilities:
            logits = sample.seg_logits.data.float()
            shares = logits.softmax(0) if len(logits) > 1 else torch.cat([1 - logits, logits])
            files["probabilities"] = dict(probabilities=shares.half().numpy())
        return files


class SmallTargets(Segmentation):
    """Targets of a few pixels: the connected parts of the mask."""

    draw = staticmethod(drawing.draw_small_targets)
    metric = "SmallTargetMetric"
    threshold = THRESHOLD
    table = "targets"

    def record(self, sample, score) -> dict[str, Any]:
        probability = _foreground(sample)
        found = find_components(probability > score)
        best, inside = np.zeros(len(found)), found.labels > 0
        np.maximum.at(best, found.labels[inside] - 1, probability[inside])
        columns = (found.centroids.tolist(), found.areas.tolist(), best.tolist())
        targets = [
            dict(x=round(x, 2), y=round(y, 2), area=area, score=round(value, 6))
            for (y, x), area, value in zip(*columns)
        ]
        return dict(targets=targets)

    def summary(self, record, sample) -> dict[str, float | int]:
        best = round(float(_foreground(sample).max()), 6)
        return dict(targets=len(record["targets"]), best_score=best)

    def files(self, sample, score, probabilities) -> Files:
        return _foreground_files(sample, probabilities, masks=_foreground(sample) > score)


class Saliency(Segmentation):
    """What catches the eye, as a map from black to white."""

    draw = staticmethod(drawing.draw_saliency)
    metric = "SaliencyMetric"

    def record(self, sample, score) -> dict[str, Any]:
        probability = _foreground(sample)
        salient, peak = probability > 0.5, float(probability.max())
        return dict(share=float(salient.mean()), peak=peak, mask=run_lengths(salient))

    def summary(self, record, sample) -> dict[str, float]:
        share = round(100 * record["share"], 3)
        return {"salient (%)": share, "peak": round(record["peak"], 6)}

    def files(self, sample, score, probabilities) -> Files:
        return _foreground_files(sample, probabilities, saliency=_foreground(sample))


class Reconstruction(Task):
    """Masked patches, made up by a pre-training model."""

    draw = staticmethod(drawing.draw_reconstruction)
    models = ("InfMAE", "MSpecGene")
    each_frame = True

    def record(self, sample, score) -> dict[str, Any]:
        return dict(reconstruction_loss=float(sample.reconstruction_loss))

    def files(self, sample, score, probabilities) -> Files:
        kept = ("reconstruction", "patch_mask")
        arrays = {key: value.numpy() for key, value in sample.items() if key.startswith(kept)}
        arrays.pop("reconstruction_loss")
        return dict(reconstructions=arrays)


class Matching(Task):
    """Points of an infrared image and theirs in the visible one."""

    draw = staticmethod(drawing.draw_matches)
    models = ("PairMatcher",)

    def record(self, sample, score) -> dict[str, Any]:
        points, homography, agreeing = self._arrays(sample), sample.homography, 0
        if homography is not None:
            errors = match_errors(points["infrared_points"], points["visible_points"], homography)
            homography, agreeing = homography.tolist(), int((errors <= WITHIN).sum())
        digits = dict(infrared_points=3, visible_points=3, scores=6)
        record = {key: points[key].round(count).tolist() for key, count in digits.items()}
        return dict(**record, homography=homography, agreeing=agreeing)

    def summary(self, record, sample) -> dict[str, float | int | str]:
        homography = " ".join(f"{x:.9g}" for row in record["homography"] or () for x in row)
        matches, agreeing = len(record["scores"]), record["agreeing"]
        return dict(matches=matches, agreeing=agreeing, homography=homography)

    def files(self, sample, score, probabilities) -> Files:
        return dict(matches=self._arrays(sample))

    @staticmethod
    def _arrays(sample: BaseDataElement) -> dict[str, np.ndarray]:
        keys = ("infrared_points", "visible_points", "scores", "homography")
        return {key: sample.get(key) for key in keys if sample.get(key) is not None}


class Features(Task):
    """Maps of an encoder; of any model that has one, by ``task='features'`` alone."""

    draw = staticmethod(drawing.draw_features)
    each_frame = True

    def run(self, model: nn.Module, batch: dict) -> list[BaseDataElement]:
        data = model.data_preprocessor(batch, False)
        maps = encoder_maps(model, data["inputs"])
        for i, sample in enumerate(data["data_samples"]):
            features = {name: tensor[i].float().cpu().numpy() for name, tensor in maps.items()}
            sample.set_field(features, "features")
        return data["data_samples"]

    def record(self, sample, score) -> dict[str, Any]:
        return {name: list(array.shape) for name, array in sample.features.items()}

    def summary(self, record, sample) -> dict[str, str]:
        return {name: " x ".join(map(str, shape)) for name, shape in record.items()}

    def files(self, sample, score, probabilities) -> Files:
        return dict(features=sample.features)


#: The more particular ones first.
TASKS = (SmallTargets, Saliency, Segmentation, Detection, Matching, Reconstruction, Features)


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """A mask (H, W) bool as COCO's uncompressed run lengths: zeros first, column by column."""
    pixels = np.asarray(mask, bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(pixels)) + 1
    starts = [0] if not (pixels.size and pixels[0]) else [0, 0]
    return dict(size=list(mask.shape), counts=np.diff([*starts, *ends, pixels.size]).tolist())


def is_a(model: nn.Module, *names: str) -> bool:
    """Whether a class of such a name is a model's own or among its bases."""
    return any(kind.__name__ in names for kind in type(model).__mro__)


def encoder_maps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The maps (B, ...) of a model's encoder, finest first: ``f1``, ``f2``, ...

    Those of two modalities are apart: ``infrared_f1``, ..., ``visible_f1``, ...
    """
    pretrains = is_a(model, "BaseSelfSupervisor")
    maps = model.extract_feat(images) if pretrains else model.backbone(images)
    maps = (maps,) if isinstance(maps, Tensor) else maps
    sides = {"": maps}
    if isinstance(maps[0], tuple | list):
        sides = {f"{side}_": inner for side, inner in zip(MODALITIES, maps)}
    return {f"{side}f{i}": x for side, inner in sides.items() for i, x in enumerate(inner, 1)}


def _labels(sample: BaseDataElement) -> np.ndarray:
    return sample.pred_sem_seg.data[0].numpy().astype(np.uint8)


def _foreground(sample: BaseDataElement) -> np.ndarray:
    return foreground_probability(sample.seg_logits.data, sample.get("img_path", "an image"))


def _foreground_files(sample: BaseDataElement, probabilities: bool, **picture: np.ndarray) -> Files:
    """A map of 0 to 1 as a gray picture, and the probability it is from."""
    files = {name: Image.fromarray(to_levels(shares)) for name, shares in picture.items()}
    if probabilities:
        # Half precision would move scores to the other side of a threshold.
        files["probabilities"] = dict(probabilities=_foreground(sample).astype(np.float32))
    return files
