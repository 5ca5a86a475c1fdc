"""An exported model in the place of the model: same batches in, same data samples out."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

#: Suffixes of what tools/export.py writes.
EXPORTED = (".onnx", ".pt2")
#: The file inside a ``.pt2`` that holds what ONNX has a place for.
DETAILS = "mmspec.json"


class ExportedModelError(ValueError):
    """A file that is no exported model, or one that does not take an image."""


class ExportedModel:
    """A file of ``tools/export.py``, run by onnxruntime or by torch.

    Args:
        path: ``.onnx`` or ``.pt2``.
        device: 'cpu', or 'cuda' for an ``.onnx`` file; by default the GPU where onnxruntime has
            one.

    Attributes:
        details: what was written about it, by name: ``kind``, ``outputs``, ``size``, ``classes``...
        kind: 'segmentor', 'detector', 'encoder' or 'raw'.
        dataset_meta: ``classes`` and ``infrared_scale``.
        decode_head: of a segmentor: what else its post-processing asks for.

    Raises:
        ExportedModelError: not such a file, or one that does not run there.
    """

    def __init__(self, path: str | os.PathLike, device: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ExportedModelError(f"no file {path}")
        if (suffix := self.path.suffix.lower()) not in _OPENERS:
            raise ExportedModelError(f"{path}: no {' or '.join(_OPENERS)} file")
        self._run, self.details = _OPENERS[suffix](self.path, device and torch.device(device))
        if not {"kind", "planes"} <= self.details.keys():
            raise ExportedModelError(
                f"{path}: not written by tools/export.py, or by an older one: no metadata, export"
                " again"
            )
        self.kind = self.details["kind"]
        self.dataset_meta = {k: self.details.get(k) for k in ("classes", "infrared_scale")}
        self.align_corners = self.details.get("align_corners")
        self.decode_head = SimpleNamespace(threshold=self.details.get("threshold"))

    def run(self, pixels: Tensor | np.ndarray) -> dict[str, Tensor]:
        """Outputs by name.

        Args:
            pixels: (1, C, H, W), gray levels 0 to 255 of any dtype.

        Raises:
            ExportedModelError: several images, or of other channels or another size than its own.
        """
        pixels = torch.as_tensor(pixels)
        planes, size = self.details["planes"], self.details["size"]
        if pixels.dim() != 4 or pixels.shape[:2] != (1, planes):
            raise ExportedModelError(
                f"{self.path} takes one image at a time, (1, {planes}, height, width), and was"
                f" given {tuple(pixels.shape)}"
            )
        if size is not None and list(pixels.shape[2:]) != size:
            given = f"{pixels.shape[2]} x {pixels.shape[3]}"
            raise ExportedModelError(
                f"{self.path} is for images of {size[0]} x {size[1]} pixels (height x width), and"
                f" the config's pipeline gives one of {given}: export with --dynamic, or with"
                f" --size {given.replace(' x', '')}"
            )
        return dict(zip(self.details["outputs"], self._run(pixels.float())))

    @torch.no_grad()
    def test_step(self, data: Mapping) -> list[BaseDataElement]:
        """Data samples with predictions, as the model's own ``test_step`` gives them.

        Args:
            data: ``inputs``, images (C, H, W), and their ``data_samples``.
        """
        if self.kind not in _SAMPLES:
            raise ExportedModelError(
                f"{self.path} holds the {self.kind} alone, which predicts nothing: export without"
                f" --{self.kind}, or call run()"
            )
        predict, samples = _SAMPLES[self.kind], []
        channels = self.details["channels"]  # of pairs, in the order that it was written for
        for image, sample in zip(data["inputs"], data["data_samples"]):
            given = sample.get("channels")
            if channels is not None and list(given or ()) != channels:
                raise ExportedModelError(
                    f"{self.path} is for channels {', '.join(channels)}, the data sample states"
                    f" {given}"
                )
            samples.append(predict(self, self.run(image[None]), sample.new()))
        return samples


def _segmented(model: ExportedModel, outputs: Mapping, sample: BaseDataElement) -> BaseDataElement:
    from mmseg.models import BaseSegmentor

    return BaseSegmentor.postprocess_result(model, outputs["logits"], [sample])[0]


def _detected(model: ExportedModel, outputs: Mapping, sample: BaseDataElement) -> BaseDataElement:
    boxes, labels = outputs["boxes"], outputs["labels"]
    scale, shape = sample.get("scale_factor", (1.0, 1.0)), tuple(sample.ori_shape[:2])
    sample.pred_instances = InstanceData(
        bboxes=boxes / boxes.new_tensor(scale).repeat(2), scores=outputs["scores"], labels=labels
    )
    if "masks" in outputs:
        from mmdet.models.roi_heads.mask_heads import FCNMaskHead

        masks = torch.zeros((0, *shape), dtype=torch.bool)
        if len(boxes):
            masks = FCNMaskHead._predict_by_feat_single(
                SimpleNamespace(class_agnostic=True),
                outputs["masks"][:, None],
                boxes.clone(),
                labels,
                dict(scale_factor=scale, ori_shape=shape),
                ConfigDict(mask_thr_binary=model.details["mask_thr_binary"]),
                rescale=True,
            )
        sample.pred_instances.masks = masks
    return sample


_SAMPLES = {"segmentor": _segmented, "detector": _detected}


def _open_onnx(path: Path, device: torch.device | None):
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportedModelError(
            f'{path}: onnxruntime is not installed: pip install "mmspec[export]"'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors: what float16 leaves unfolded on a CPU is no concern
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    gpu = {"device_id": (device and device.index) or 0}
    wanted = {None: [(cuda, gpu), cpu], "cuda": [(cuda, gpu), cpu], "cpu": [cpu]}
    if (kind := device and device.type) not in wanted:
        raise ExportedModelError(f"device={str(device)!r}: {path} runs on 'cpu' or 'cuda'")
    there = cuda in onnxruntime.get_available_providers()
    if kind == "cuda" and not there:
        raise ExportedModelError(
            f"device={str(device)!r}: this onnxruntime has no CUDA; install onnxruntime-gpu in its"
            " place, or leave the device out"
        )
    providers = [one for one in wanted[kind] if one == cpu or there]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its kinds are many, and none has a name to import
        raise ExportedModelError(f"{path}: onnxruntime cannot read it ({error})") from error
    about = session.get_modelmeta().custom_metadata_map

    def run(pixels: Tensor) -> list[Tensor]:
        found = session.run(None, {"pixels": np.ascontiguousarray(pixels.cpu().numpy())})
        return [torch.from_numpy(array) for array in found]

    try:
        details = {key: json.loads(value) for key, value in about.items()}
    except json.JSONDecodeError:
        details = {}  # of another program
    return run, details


def _open_program(path: Path, device: torch.device | None):
    if device is not None and device.type != "cpu":
        raise ExportedModelError(
            f"device={str(device)!r}: {path} was written for the CPU; leave the device out, or"
            " export to .onnx"
        )
    files = {DETAILS: ""}
    try:
        network = torch.export.load(path, extra_files=files).module()
    except Exception as error:  # of any kind, with what is no program
        raise ExportedModelError(f"{path}: torch cannot read it ({error})") from error
    return lambda pixels: flat(network(pixels)), json.loads(files[DETAILS] or "{}")


_OPENERS = {".onnx": _open_onnx, ".pt2": _open_program}


def flat(nested: Any) -> list[Tensor]:
    """The tensors of nested tuples and lists, in order."""
    if isinstance(nested, Tensor):
        return [nested]
    return [tensor for part in nested or () for tensor in flat(part)]
