"""What is drawn and written of each kind of prediction: one class a task.

``Predictor`` takes the first of ``TASKS`` that fits the config. Another task is another class here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData
from PIL import Image
from torch import Tensor, nn

from mmspec.conventions import MODALITIES
from mmspec.evaluation.matching import match_errors
from mmspec.evaluation.samples import foreground_probability
from mmspec.evaluation.small_target import THRESHOLD
from mmspec.evaluation.target_matching import find_components
from mmspec.models.matchers import PairMatcher
from mmspec.models.selfsup import InfMAE, MSpecGene
from mmspec.visualization import samples as pictures
from mmspec.visualization.features import feature_picture
from mmspec.visualization.panels import to_levels
from mmspec.visualization.segmentation import background_of, infrared_palette

from .tiles import Window, blended, merged_instances

#: What is written a file an image: a picture, or arrays by name.
Content = Image.Image | Mapping[str, np.ndarray]


class TaskError(ValueError):
    """A config, or an option, that prediction has no way for; the message has the way out."""


class Task:
    """What becomes of a model's data samples.

    Attributes:
        threshold: score below which a prediction is neither drawn nor written; None: no such thing.
        table: name of the list in a record that is also written as a CSV file, '' without one.
        coco: records are also written as a COCO file.
        each_frame: files are written of a recording's frames too, as records cannot hold them.

    Args:
        classes: names of the model's classes, () without.
    """

    threshold: ClassVar[float | None] = None
    table: ClassVar[str] = ""
    coco: ClassVar[bool] = False
    each_frame: ClassVar[bool] = False

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.classes = tuple(classes)

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        """Whether a model, tested by metrics of these names, is one for this task."""
        raise NotImplementedError

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

    def picture(self, image: Tensor, sample: BaseDataElement, score: float, steady: bool):
        """(H', W', 3) uint8; ``steady``: of one size whatever is found, for video."""
        raise NotImplementedError

    def record(self, sample: BaseDataElement, score: float) -> dict[str, Any]:
        """What was found, ready for JSON."""
        raise NotImplementedError

    def summary(self, record: Mapping[str, Any]) -> dict[str, float | int | str]:
        """A record in a few numbers, the same ones for every image."""
        return dict(record)

    def files(
        self, sample: BaseDataElement, score: float, probabilities: bool
    ) -> dict[str, Content]:
        """Files of an image by their folder."""
        return {}


class Detection(Task):
    """Boxes, and masks where the model predicts them."""

    threshold = 0.3
    coco = True

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return _is_a(model, "BaseDetector")

    def merge(self, samples, windows, shape, model) -> BaseDataElement:
        whole = samples[0].new(metainfo={**samples[0].metainfo, "ori_shape": shape}, data={})
        found = [sample.pred_instances for sample in samples]
        whole.pred_instances = merged_instances(found, windows, shape)
        return whole

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_detection(image, sample, self.classes, score, steady)

    def record(self, sample, score) -> dict[str, Any]:
        found = sample.pred_instances
        found = found[found.scores >= score]
        boxes = found.bboxes.double().numpy()
        boxes[:, 2:] -= boxes[:, :2]
        instances = []
        for i, (box, value, label) in enumerate(zip(boxes, found.scores, found.labels)):
            instance = dict(
                category_id=int(label) + 1,
                category=self._name(int(label)),
                score=round(float(value), 6),
                bbox=box.round(3).tolist(),
                area=round(float(box[2] * box[3]), 3),
            )
            if "masks" in found:
                mask = found.masks[i].numpy()
                instance |= dict(area=int(mask.sum()), segmentation=run_lengths(mask))
            instances.append(instance)
        return dict(instances=instances)

    def summary(self, record) -> dict[str, float | int]:
        names = [instance["category"] for instance in record["instances"]]
        best = max((instance["score"] for instance in record["instances"]), default="")
        return dict(objects=len(names), best_score=best) | {c: names.count(c) for c in self.classes}

    def _name(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else f"class {label}"


class Segmentation(Task):
    """A class for every pixel."""

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return _is_a(model, "BaseSegmentor")

    def merge(self, samples, windows, shape, model) -> BaseDataElement:
        whole = samples[0].new(metainfo={**samples[0].metainfo, "ori_shape": shape}, data={})
        logits = blended([sample.seg_logits.data for sample in samples], windows, shape)
        if len(logits) > 1:
            classes = logits.argmax(0, keepdim=True)
        else:  # as mmseg has it
            classes = (logits > model.decode_head.threshold).to(logits)
        whole.seg_logits, whole.pred_sem_seg = PixelData(data=logits), PixelData(data=classes)
        return whole

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_segmentation(image, sample, self.classes, steady)

    def record(self, sample, score) -> dict[str, Any]:
        labels = _labels(sample)
        return dict(
            share={name: float((labels == i).mean()) for i, name in enumerate(self.classes)},
            masks={
                name: run_lengths(labels == i)
                for i, name in enumerate(self.classes)
                if i != background_of(self.classes) and (labels == i).any()
            },
        )

    def summary(self, record) -> dict[str, float]:
        return {f"{name} (%)": round(100 * share, 3) for name, share in record["share"].items()}

    def files(self, sample, score, probabilities) -> dict[str, Content]:
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

    threshold = THRESHOLD
    table = "targets"

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return "SmallTargetMetric" in metrics

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_small_targets(image, sample, score, steady)

    def record(self, sample, score) -> dict[str, Any]:
        probability = _foreground(sample)
        found = find_components(probability > score)
        best, inside = np.zeros(len(found)), found.labels > 0
        np.maximum.at(best, found.labels[inside] - 1, probability[inside])
        targets = [
            dict(x=round(column, 2), y=round(row, 2), area=int(area), score=round(value, 6))
            for (row, column), area, value in zip(
                found.centroids.tolist(), found.areas, best.tolist()
            )
        ]
        return dict(targets=targets)

    def summary(self, record) -> dict[str, float | int]:
        scores = [target["score"] for target in record["targets"]]
        return dict(targets=len(scores), best_score=max(scores, default=""))

    def files(self, sample, score, probabilities) -> dict[str, Content]:
        return _foreground_files(sample, probabilities, masks=_foreground(sample) > score)


class Saliency(Segmentation):
    """What catches the eye, as a map from black to white."""

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return "SaliencyMetric" in metrics

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_saliency(image, sample)

    def record(self, sample, score) -> dict[str, Any]:
        probability = _foreground(sample)
        salient = probability > 0.5
        return dict(
            share=float(salient.mean()), peak=float(probability.max()), mask=run_lengths(salient)
        )

    def summary(self, record) -> dict[str, float]:
        return {
            "salient (%)": round(100 * record["share"], 3),
            "peak": round(record["peak"], 6),
        }

    def files(self, sample, score, probabilities) -> dict[str, Content]:
        return _foreground_files(sample, probabilities, saliency=_foreground(sample))


class Reconstruction(Task):
    """Masked patches, made up by a pre-training model."""

    each_frame = True

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return isinstance(model, InfMAE | MSpecGene)

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_reconstruction(image, sample)

    def record(self, sample, score) -> dict[str, Any]:
        return dict(reconstruction_loss=float(sample.reconstruction_loss))

    def files(self, sample, score, probabilities) -> dict[str, Content]:
        kept = ("reconstruction", "patch_mask")
        arrays = {key: value.numpy() for key, value in sample.items() if key.startswith(kept)}
        arrays.pop("reconstruction_loss")
        return dict(reconstructions=arrays)


class Matching(Task):
    """Points of an infrared image and theirs in the visible one."""

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return isinstance(model, PairMatcher)

    def picture(self, image, sample, score, steady) -> np.ndarray:
        return pictures.draw_matches(image, sample)

    def record(self, sample, score) -> dict[str, Any]:
        found = sample.homography is not None
        return dict(
            infrared_points=sample.infrared_points.round(3).tolist(),
            visible_points=sample.visible_points.round(3).tolist(),
            scores=sample.scores.round(6).tolist(),
            homography=sample.homography.tolist() if found else None,
            agreeing=int((match_errors(*_points(sample), sample.homography) <= 3).sum())
            if found
            else 0,
        )

    def summary(self, record) -> dict[str, float | int | str]:
        return dict(
            matches=len(record["scores"]),
            agreeing=record["agreeing"],
            homography=" ".join(f"{x:.9g}" for row in record["homography"] or () for x in row),
        )

    def files(self, sample, score, probabilities) -> dict[str, Content]:
        arrays = {key: sample.get(key) for key in ("infrared_points", "visible_points", "scores")}
        if sample.homography is not None:
            arrays["homography"] = sample.homography
        return dict(matches=arrays)


class Features(Task):
    """Maps of an encoder; of any model that has one, by ``task='features'`` alone."""

    each_frame = True

    @staticmethod
    def fits(model: nn.Module, metrics: Sequence[str]) -> bool:
        return False

    def run(self, model: nn.Module, batch: dict) -> list[BaseDataElement]:
        data = model.data_preprocessor(batch, False)
        of_encoder = _is_a(model, "BaseSelfSupervisor")
        maps = model.extract_feat(data["inputs"]) if of_encoder else model.backbone(data["inputs"])
        named = _named_maps(maps)
        for i, sample in enumerate(data["data_samples"]):
            features = {name: tensor[i].float().cpu().numpy() for name, tensor in named.items()}
            sample.set_field(features, "features")
        return data["data_samples"]

    def picture(self, image, sample, score, steady) -> np.ndarray:
        shown = pictures.loaded_images(image, sample, tuple(image.shape[-2:]))
        return feature_picture(shown, sample.features)

    def record(self, sample, score) -> dict[str, Any]:
        return {name: list(array.shape) for name, array in sample.features.items()}

    def summary(self, record) -> dict[str, str]:
        return {name: " x ".join(map(str, shape)) for name, shape in record.items()}

    def files(self, sample, score, probabilities) -> dict[str, Content]:
        return dict(features=sample.features)


#: The more particular ones first.
TASKS = (SmallTargets, Saliency, Segmentation, Detection, Matching, Reconstruction, Features)


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """A mask (H, W) bool as COCO's uncompressed run lengths: zeros first, column by column."""
    pixels = np.asarray(mask, bool).ravel(order="F")
    ends = np.flatnonzero(np.diff(pixels)) + 1
    starts = [0] if not (pixels.size and pixels[0]) else [0, 0]
    return dict(size=list(mask.shape), counts=np.diff([*starts, *ends, pixels.size]).tolist())


def _is_a(model: nn.Module, name: str) -> bool:
    """Whether a class of a framework, which need not be installed, is among a model's bases."""
    return any(kind.__name__ == name for kind in type(model).__mro__)


def _labels(sample: BaseDataElement) -> np.ndarray:
    return sample.pred_sem_seg.data[0].numpy().astype(np.uint8)


def _foreground(sample: BaseDataElement) -> np.ndarray:
    return foreground_probability(sample.seg_logits.data, sample.get("img_path", "an image"))


def _foreground_files(
    sample: BaseDataElement, probabilities: bool, **picture: np.ndarray
) -> dict[str, Content]:
    """A map of 0 to 1 as a gray picture, and the probability it is from."""
    files = {name: Image.fromarray(to_levels(shares)) for name, shares in picture.items()}
    if probabilities:
        files["probabilities"] = dict(probabilities=_foreground(sample).astype(np.float16))
    return files


def _points(sample: BaseDataElement) -> tuple[np.ndarray, np.ndarray]:
    return sample.infrared_points, sample.visible_points


def _named_maps(maps: Any, prefix: str = "") -> dict[str, Tensor]:
    """Maps (B, ...) of a backbone by name; those of two modalities apart."""
    if isinstance(maps, Tensor):
        maps = (maps,)
    if isinstance(maps[0], tuple | list):
        sides = zip(MODALITIES, maps)
        return {k: v for side, inner in sides for k, v in _named_maps(inner, f"{side}_").items()}
    return {f"{prefix}f{i}": tensor for i, tensor in enumerate(maps, 1)}
