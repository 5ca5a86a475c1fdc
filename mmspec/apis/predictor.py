"""Prediction with a config and its checkpoint, by the config's own test pipeline."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from os import PathLike
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS, FUNCTIONS, MODELS, DefaultScope
from mmengine.runner import autocast
from mmengine.structures import BaseDataElement
from torch import Tensor
from tqdm import tqdm

from mmspec.checkpoints.safe_load import load_file
from mmspec.datasets.files import Fault
from mmspec.datasets.image_io import UnreadableImageError
from mmspec.datasets.modality import MODALITY_PATHS, settle_trained_scale
from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.datasets.transforms import (
    LoadInfraredImageFromFile,
    LoadRGBTImageFromFile,
    LoadSegmentationLabels,
    ViewInfrared,
)
from mmspec.engine.launch import read_config, settle_preprocessor
from mmspec.engine.other_model import refuse_other_model

from .exported_model import EXPORTED, ExportedModel
from .frames import Frame, InputError, Inputs, One
from .tasks import TASKS, Features, Task, TaskError, is_a
from .tiles import Window, tile_windows

_LOADERS = (LoadInfraredImageFromFile, LoadRGBTImageFromFile, LoadImageFromFile)
#: Steps that load the truth, or make it. ``mmcv``'s class is the base of mmdet's and mmseg's.
LABEL_STEPS = (LoadAnnotations, LoadSegmentationLabels, ViewInfrared)


@dataclass(frozen=True)
class Prediction:
    """What a model found in an image, or in a pair.

    Attributes:
        frame: where it is from; ``frame.name`` is the name of its results.
        image: (C, H', W') uint8 or float32, what the pipeline loaded; of tiles the whole image.
        sample: the model's own data sample on the CPU, of which the metrics of a test are handed
            the same: ``pred_instances``, ``pred_sem_seg`` and ``seg_logits``, ...
        task: how it is drawn and written.
        score: below it nothing is drawn or written; the sample holds everything.
    """

    frame: Frame
    image: Tensor
    sample: BaseDataElement
    task: Task
    score: float

    def picture(self, steady: bool = False) -> np.ndarray:
        """(H, W, 3) uint8 RGB; ``steady``: of one size whatever is found, for video."""
        return self.task.picture(self.image, self.sample, self.score, steady)

    def record(self) -> dict[str, Any]:
        """What was found, ready for JSON."""
        return self.task.record(self.sample, self.score)


class Predictor:
    """A trained model, with the reading and scaling of images that it was tested with.

    The config's test pipeline runs without its label steps, so that a result is the one that the
    metrics of ``tools/test.py`` see: to the bit, on one machine with one ``batch_size``.

    Args:
        config: of mmspec, mmpretrain, mmdet or mmseg: a file or a ``Config``.
        checkpoint: of that config's training, or what ``tools/export.py`` made of it.
        device: of the model, 'cpu' or 'cuda:0'; the GPU if there is one.
        task: 'features' for the maps of the encoder; by default what the config was trained for.
        options: ``KEY=VALUE`` settings that replace the config's.

    Raises:
        LaunchError: no such config, or a checkpoint of another model.
        CheckpointError: a damaged checkpoint.
        TaskError: a config without a test pipeline, or of a model that no task fits.
        InputError: a GPU is asked for where there is none.

    Example:
        >>> predictor = mmspec.Predictor('config.py', 'checkpoint.pth')
        >>> for prediction in predictor.predict('folder'):
        ...     print(prediction.frame.name, prediction.record())
    """

    def __init__(
        self,
        config: str | PathLike | Config,
        checkpoint: str | PathLike,
        device: str | None = None,
        task: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        cfg = config if isinstance(config, Config) else read_config(str(config), options)
        tested = cfg.get("test_dataloader")
        loader = tested or cfg.get("train_dataloader") or {}
        dataset = innermost(loader.get("dataset") or {})
        steps = dataset.get("pipeline") if tested else cfg.get("test_pipeline")
        if cfg.get("model") is None:
            raise TaskError(f"{cfg.filename} has no model")
        if not steps:
            raise TaskError(
                f"{cfg.filename} has no test pipeline: give it test_dataloader.dataset.pipeline, or"
                " a variable test_pipeline"
            )
        self.device = torch.device(device or get_device())
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise InputError(
                f"device={device!r}: there is no GPU here; leave it out, or give 'cpu'"
            )
        self.half = bool((cfg.get("test_cfg") or {}).get("fp16", False))
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmengine")):
            settle_preprocessor(cfg)  # of a Config that was not read by read_config
            self.model = MODELS.build(cfg.model)
            kind = DATASETS.get(dataset["type"]) if "type" in dataset else None
            self.modality = _modality(dataset, kind)
            self.load, self.prepare = _without_labels(Compose(list(steps)), self.modality)
            collate = dict(loader.get("collate_fn") or dict(type="pseudo_collate"))
            self.collate = FUNCTIONS.get(collate["type"]) or pseudo_collate
        metrics = cfg.get("test_evaluator") or []
        metrics = [metrics] if isinstance(metrics, Mapping) else metrics
        task_class = _task(task, self.model, metrics)
        if str(checkpoint).endswith(EXPORTED):
            if task_class is Features:
                raise TaskError(f"{checkpoint}: give the checkpoint itself for maps")
            self.model = ExportedModel(checkpoint, device)
            meta = self.model.dataset_meta
        else:
            meta = self._load_weights(str(checkpoint))
        scales = dataset.get("infrared_scale"), meta.get("infrared_scale")
        settle_trained_scale(self.load.transforms, *scales, str(checkpoint))
        classes = meta.get("classes") or (dataset.get("metainfo") or {}).get("classes")
        classes = classes or getattr(kind, "METAINFO", {}).get("classes", ())
        self.task = task_class(classes)
        for metric in metrics:
            if task_class.metric and _name(metric) == task_class.metric:
                self.task.threshold = metric.get("threshold", self.task.threshold)

    def _load_weights(self, path: str) -> Mapping:
        content = load_file(path)
        refuse_other_model(self.model, content, whole=True, source=path)
        weights = content.get("state_dict", content)
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
        self.model.load_state_dict(weights, strict=False)
        self.model.to(self.device).eval()
        return (content.get("meta") or {}).get("dataset_meta") or {}

    def predict(
        self,
        inputs: One | Sequence,
        batch_size: int = 1,
        *,
        score: float | None = None,
        tile: tuple[int, int] | None = None,
        overlap: int = 64,
        broken: list[Fault] | None = None,
        progress: bool = False,
    ) -> Iterator[Prediction]:
        """Predictions one after the other, in the order of the inputs; none is kept.

        Args:
            inputs: a path, a folder, a glob, a video, a TIFF of several pages, pixels (H, W) or
                (H, W, 1 to 4), blue first, of 8 or 16 bits or float, or a list of these. For models
                of pairs (infrared, visible) of any of these, or a list of pairs.
            batch_size: images, or tiles, at once.
            score: predictions below are neither drawn nor written; the task's own by default.
            tile: (height, width) in pixels of the image, for images that are much larger than those
                of the training: each tile is an image of its own, and the results are merged.
            overlap: pixels that neighbouring tiles have in common, more than an object.
            broken: takes the images that cannot be read, which are then left out; None: raise.
            progress: show a bar.

        Raises:
            InputError: an input is not there, or is no pair where the model takes pairs.
            UnreadableImageError: an image cannot be read, with ``broken=None``.
        """
        inputs = Inputs(inputs, len(MODALITY_PATHS[self.modality]), broken)
        score = self.task.threshold or 0.0 if score is None else score
        bar = tqdm(inputs, disable=not progress, unit=" images", dynamic_ncols=True)
        jobs = self._jobs(bar, inputs, tile, overlap)
        parts = ((job, data) for job in jobs for data in job.parts(self.prepare))
        # What stacks images is a collate function, or the preprocessor of mmseg's models.
        stacked = self.collate is not pseudo_collate or is_a(self.model, "BaseSegmentor")
        for batch in _batches(parts, batch_size, stacked):
            for (job, _), sample in zip(batch, self._run([data for _, data in batch])):
                job.samples.append(sample)
                if len(job.samples) == len(job.windows):
                    if len(job.samples) > 1:
                        shape = job.loaded["img"].shape[:2]
                        sample = self.task.merge(job.samples, job.windows, shape, self.model)
                    yield Prediction(job.frame, job.image, sample, self.task, score)

    def _jobs(
        self, frames: Iterable[Frame], inputs: Inputs, tile: tuple[int, int] | None, overlap: int
    ) -> Iterator[_Job]:
        for number, frame in enumerate(frames):
            try:
                loaded = self.load(_sample(frame, self.modality, number))
            except UnreadableImageError as error:
                inputs.fault(error, frame.files[0])
                continue
            shape = loaded["img"].shape[:2]
            windows = tile_windows(shape, tile or shape, overlap if tile else 0)
            yield _Job(frame, loaded, windows)

    def batches(self, inputs: One | Sequence) -> Iterator[dict]:
        """What the model is given of each input, see :meth:`predict`: one image a batch."""
        frames = Inputs(inputs, len(MODALITY_PATHS[self.modality]))
        for job in self._jobs(frames, frames, None, 0):
            yield from (self.collate([data]) for data in job.parts(self.prepare))

    @torch.no_grad()
    def _run(self, batch: list[dict]) -> list[BaseDataElement]:
        with autocast(enabled=self.half):
            samples = self.task.run(self.model, self.collate(batch))
        return [sample.cpu() for sample in samples]


@dataclass(eq=False)
class _Job:
    """An image in work: its tiles (itself, if it is one), and what was found in them."""

    frame: Frame
    loaded: dict
    windows: list[Window]
    samples: list[BaseDataElement] = field(default_factory=list)
    image: Tensor | None = None

    def parts(self, prepare: Compose) -> Iterator[dict]:
        """The tiles, through the rest of the pipeline."""
        pixels = self.loaded["img"]
        if len(self.windows) > 1:
            channels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
            self.image = torch.from_numpy(np.ascontiguousarray(channels))
        for top, left, below, right in self.windows:
            part = np.ascontiguousarray(pixels[top:below, left:right])
            shape = part.shape[:2]
            data = prepare({**self.loaded, "img": part, "img_shape": shape, "ori_shape": shape})
            if len(self.windows) == 1:
                self.image = data["inputs"]
            yield data


def _batches(
    parts: Iterable[tuple[_Job, dict]], size: int, of_one_shape: bool
) -> Iterator[list[tuple[_Job, dict]]]:
    """Parts in batches; where they are stacked, images of another size start a new one."""
    shapes = groupby(parts, lambda part: part[1]["inputs"].shape if of_one_shape else None)
    for _, alike in shapes:
        while batch := list(islice(alike, size)):
            yield batch


def _sample(frame: Frame, modality: str, number: int) -> dict:
    """What a data set would hand to the pipeline."""
    return dict(
        zip(MODALITY_PATHS[modality], frame.files),
        img_path=frame.files[0],
        modality=modality,
        img_id=number,
        sample_idx=number,
        frames=dict(zip(frame.files, frame.pixels)),
    )


def innermost(dataset: Mapping) -> Mapping:
    """The config of a data set within wrappers."""
    while "pipeline" not in dataset and (dataset.get("dataset") or dataset.get("datasets")):
        dataset = dataset.get("dataset") or dataset["datasets"][0]
    return dataset


def _modality(dataset: Mapping, kind: type | None) -> str:
    """'infrared', 'visible' or 'both': what the config's data set loads."""
    if isinstance(kind, type) and issubclass(kind, RGBTFolder):
        default = "both"
    else:
        parameters = inspect.signature(kind).parameters if kind else {}
        default = parameters["modality"].default if "modality" in parameters else "infrared"
    return dataset.get("modality", default)


def _without_labels(pipeline: Compose, modality: str) -> tuple[Compose, Compose]:
    """The steps up to the loading of the image, and those behind it, without those of labels."""
    steps = [step for step in pipeline.transforms if not isinstance(step, LABEL_STEPS)]
    loaders = [i for i, step in enumerate(steps) if isinstance(step, _LOADERS)]
    if not loaders:  # a data set that renders its images
        infrared = modality == "infrared"
        steps.insert(0, LoadInfraredImageFromFile() if infrared else LoadRGBTImageFromFile())
        loaders = [0]
    first = loaders[0]
    if isinstance(steps[first], LoadImageFromFile):
        steps[first] = _PixelsToo(steps[first])
    return Compose(steps[: first + 1]), Compose(steps[first + 1 :])


class _PixelsToo:
    """mmcv's loader, for arrays and frames too, with errors that name the image."""

    def __init__(self, loader: LoadImageFromFile) -> None:
        self.loader = loader

    def __call__(self, results: dict) -> dict:
        name = results["img_path"]
        pixels = results["frames"].get(name)
        if pixels is None:
            try:
                return self.loader(results)
            except Exception as error:  # whatever decoders trip over
                reason = f"cannot be read ({type(error).__name__}: {error})"
                raise UnreadableImageError.of(name, reason) from None
        kind = getattr(pixels, "dtype", "uint16")  # of FLIR's blocks
        if kind != np.uint8:
            reason = (
                f"pixels of type {kind}, and the config's loader is for 8 bits; use"
                " dict(type='mmspec.LoadInfraredImageFromFile', color_type='color')"
            )
            raise UnreadableImageError.of(name, reason)
        results["img"] = self._as_loaded(
            pixels if pixels.ndim == 2 or pixels.shape[2] > 1 else pixels[..., 0]
        )
        results["img_shape"] = results["ori_shape"] = pixels.shape[:2]
        return results

    def _as_loaded(self, pixels: np.ndarray) -> np.ndarray:
        """Gray levels or colours, as the loader gives a file's."""
        gray, wanted = pixels.ndim == 2, self.loader.color_type
        if wanted == "unchanged":
            found = pixels
        elif wanted.startswith("grayscale"):
            found = pixels if gray else cv2.cvtColor(pixels[..., :3].copy(), cv2.COLOR_BGR2GRAY)
        else:
            found = np.repeat(pixels[..., None], 3, axis=2) if gray else pixels[..., :3]
        found = np.ascontiguousarray(found)
        return found.astype(np.float32) if self.loader.to_float32 else found


def _name(metric: Mapping) -> str:
    return str(metric.get("type")).rpartition(".")[2]


def _task(name: str | None, model: torch.nn.Module, metrics: Sequence[Mapping]) -> type[Task]:
    if name not in (None, "features"):
        raise TaskError(f"task={name!r}: 'features', or None for the config's own")
    kinds = [_name(metric) for metric in metrics]
    fitting = (task for task in TASKS if task.fits(model, kinds))
    if task := Features if name else next(fitting, None):
        return task
    raise TaskError(
        f"{type(model).__name__} predicts nothing that is known here"
        f" ({', '.join(task.__name__ for task in TASKS)}); its encoder's maps: task='features', on"
        " the command line --features, of an export --encoder"
    )
