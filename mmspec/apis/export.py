"""Writing a model as ONNX or as a program of ``torch.export``, and proving that it is the same."""

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, DefaultScope
from torch import Tensor, nn

from mmspec.datasets.modality import MODALITY_PATHS
from mmspec.engine.launch import read_config
from mmspec.version import __version__

from .export_graphs import ExportError, Graph, graph_of
from .exported_model import DETAILS, EXPORTED, ExportedModel, ExportedModelError, flat
from .predictor import Predictor
from .tasks import encoder_maps

#: LayerNormalization is one operator from 17 on, and the torch of both stacks writes it.
OPSET = 17
TOLERANCE, HALF_TOLERANCE = 1e-3, 3e-2
#: Rows and columns, as shares of an image's, of what is traced; the check is at two other sizes.
_TRACED, _CHECKED = (0.8, 0.9), ((1.0, 1.0), (0.7, 1.1))


@dataclass(frozen=True)
class Report:
    """What was written and how far it is from the model.

    A difference is the largest absolute one of an output in all images, divided by the output's
    largest absolute value; of masks the largest share of pixels that differ.
    """

    program: str  # 'ONNX opset 17', or torch's version
    size: int  # of the file, in bytes
    shapes: list[tuple[int, int]]  # (H, W) of the images of the check
    differences: dict[str, float]  # of each output
    tolerance: float  # which none of them exceeds


def export_model(
    model: nn.Module,
    batches: Sequence[Mapping],
    path: str | os.PathLike,
    *,
    dynamic: bool = False,
    half: bool = False,
    encoder: bool = False,
    raw: bool = False,
    tolerance: float | None = None,
    about: Mapping[str, Any] | None = None,
) -> Report:
    """Write a model for pixels (1, C, H, W) float32 of 0..255, and run both on images.

    Args:
        model: of mmpretrain, mmdet, mmseg or mmspec, on the CPU, in evaluation; not changed.
        batches: images as ``model.test_step`` takes them, one each. The first is traced. For a
            fixed size all have it.
        path: ``.onnx``, or ``.pt2`` for :func:`torch.export.save`.
        dynamic: for images of any size. Each image is then checked at two sizes, neither of them
            the traced one.
        half: the network in float16; what comes before and behind it stays in float32.
        encoder: the maps of the encoder alone.
        raw: what the network of a single-stage detector gives, without boxes.
        tolerance: the largest difference that is allowed, see :class:`Report`; 1e-3, of float16
            3e-2.
        about: further metadata, by name.

    Raises:
        ExportError: the model cannot be exported, or what was written differs: it is deleted, and
            an earlier file of the name stays.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ExportError(f"{path}: the name must end in .onnx or .pt2")
    if tolerance is None:
        tolerance = HALF_TOLERANCE if half else TOLERANCE
    channels = batches[0]["data_samples"][0].get("channels")
    network = revert_sync_batchnorm(copy.deepcopy(model))
    graph = graph_of(network, channels, encoder, raw, dynamic).eval()
    traced = resized(batches[0], _TRACED) if dynamic else batches[0]
    pixels = traced["inputs"][0][None].float()
    with torch.no_grad():
        outputs = list(graph.results(pixels))
    details = dict(
        kind=graph.kind,
        outputs=outputs,
        input="pixels: (1, C, H, W) float32, gray levels 0 to 255",
        planes=pixels.shape[1],
        channels=channels,
        size=None if dynamic else list(pixels.shape[2:]),
        stride=graph.preprocessing.divisor,
        normalisation="inside: mean and std of the data preprocessor",
        **graph.preprocessing.statistics,
        precision="float16" if half else "float32",
        mmspec=__version__,
        **graph.settings(),
        **(about or {}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside, so that a failure leaves an earlier file as it was.
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    with ExitStack() as on_failure:
        on_failure.callback(part.unlink, missing_ok=True)
        constants = WRITERS[path.suffix](graph, pixels, part, dynamic, half, details)
        if dynamic:
            batches = [resized(batch, scale) for batch in batches for scale in _CHECKED]
        differences = compare(model, ExportedModel(part), batches)
        if not all(value <= tolerance for value in differences.values()):
            listed = ", ".join(f"{name} {value:.2g}" for name, value in differences.items())
            raise ExportError(
                f"{path}: these are not the model's results, so it was deleted. Differences, as"
                f" shares of the largest value: {listed}; allowed: {tolerance:g} (--tolerance)"
                + (f". Sizes that became constants: {'; '.join(constants)}" if constants else "")
            )
        part.replace(path)
        on_failure.pop_all()
    return Report(
        f"ONNX opset {OPSET}" if path.suffix == ".onnx" else f"torch {torch.__version__}",
        path.stat().st_size,
        [tuple(batch["inputs"][0].shape[-2:]) for batch in batches],
        differences,
        tolerance,
    )


def export_checkpoint(
    config: str,
    checkpoint: str,
    path: str | os.PathLike,
    *,
    images: Sequence[str] | None = None,
    visible: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    options: Sequence[str] = (),
    **how: Any,
) -> Report:
    """:func:`export_model` of a config and its checkpoint, on images of its test pipeline.

    Args:
        images: at least two files, of pairs the infrared ones; by default the first two of the
            config's test data.
        visible: of pairs the visible images.
        size: (H, W) of a model for one size; by default that of the first image.
        options: ``KEY=VALUE`` settings that replace the config's.

    Raises:
        ExportError: as there, or fewer than two images.
    """
    if str(checkpoint).endswith(EXPORTED):
        raise ExportError(f"{checkpoint} is an export already: give the checkpoint it was made of")
    if size is not None and min(size) < 1:
        raise ExportError(f"--size {size[0]} {size[1]}: give height and width of 1 pixel or more")
    cfg = read_config(config, options)
    task = "features" if how.get("encoder") else None
    predictor = Predictor(cfg, checkpoint, "cpu", task)
    if visible is not None and len(visible) != len(images or ()):
        raise ExportError(f"{len(images or ())} --images and {len(visible)} --visible: no pairs")
    inputs = list(images or ()) if visible is None else list(zip(images or (), visible))
    batches = list(predictor.batches(inputs or _test_images(cfg)))
    if len(batches) < 2:
        raise ExportError("the check takes at least two images: give more --images")
    if not how.get("dynamic"):
        height, width = size or batches[0]["inputs"][0].shape[-2:]
        given = [batch["inputs"][0].shape[-2:] for batch in batches]
        batches = [resized(x, (height / h, width / w)) for x, (h, w) in zip(batches, given)]
    about = dict(config=Path(config).name, classes=predictor.task.classes)
    scaling = getattr(predictor.load.transforms[-1], "scaling", None)
    if scaling is not None:  # of frames of more than 8 bits
        about |= asdict(scaling) | dict(infrared_scale=scaling.setting())
    return export_model(predictor.model, batches, path, about=about, **how)


def _test_images(cfg: Config, count: int = 2) -> list:
    """Files, or pairs of files, of a config's test data."""
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmengine")):
        try:
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
            samples = [dataset.get_data_info(i) for i in range(min(count, len(dataset)))]
        except (AttributeError, FileNotFoundError, ValueError) as error:
            raise ExportError(
                f"no test data of {cfg.filename} to compare on: give --images ({error})"
            ) from error
    pair = MODALITY_PATHS["both"]
    names = pair if samples and samples[0].keys() >= set(pair) else ("img_path",)
    found = [tuple(sample[name] for name in names) for sample in samples]
    for path in (path for paths in found for path in paths):
        if not Path(path).is_file():  # rendered, or in a packed file
            raise ExportError(f"test data of {cfg.filename} is no file ({path}): give --images")
    return found if names == pair else [path for (path,) in found]


def resized(batch: Mapping, scale: tuple[float, float]) -> dict:
    """A batch of one image at another size; its data sample says so."""
    image, sample = batch["inputs"][0], copy.deepcopy(batch["data_samples"][0])
    height, width = image.shape[-2:]
    shape = (round(height * scale[0]), round(width * scale[1]))
    image = F.interpolate(image[None].float(), shape, mode="bilinear")[0].round().to(image.dtype)
    across, down = sample.get("scale_factor", (1.0, 1.0))
    factors = (across * shape[1] / width, down * shape[0] / height)
    sample.set_metainfo(dict(img_shape=shape, scale_factor=factors))
    stacked = isinstance(batch["inputs"], Tensor)
    return dict(inputs=image[None] if stacked else [image], data_samples=[sample])


@torch.no_grad()
def compare(
    model: nn.Module, exported: ExportedModel, batches: Sequence[Mapping]
) -> dict[str, float]:
    """Largest difference of each output over batches of one image, see :class:`Report`."""
    worst: dict[str, float] = {}
    instances = 0
    for batch in batches:
        if exported.kind in ("encoder", "raw"):
            data = model.data_preprocessor(copy.deepcopy(dict(batch)), False)
            with _explained(batch):
                found = exported.run(batch["inputs"][0][None])
            if exported.kind == "raw":
                expected = model(data["inputs"], data["data_samples"], mode="tensor")
            else:
                expected = list(encoder_maps(model, data["inputs"]).values())
            outputs = zip(found.items(), flat(expected), strict=True)
            differences = {name: share_apart(ours, value) for (name, value), ours in outputs}
        else:
            samples = [model.test_step(copy.deepcopy(dict(batch)))[0]]
            with _explained(batch):
                samples += exported.test_step(copy.deepcopy(dict(batch)))
            if exported.kind == "segmentor":
                differences = dict(logits=share_apart(*(s.seg_logits.data for s in samples)))
            else:
                differences = instances_apart(*(s.pred_instances for s in samples))
                instances += sum(len(s.pred_instances) for s in samples)
        for name, value in differences.items():
            worst[name] = max(value, worst.get(name, 0.0))
    if exported.kind == "detector" and not instances:
        raise ExportError(
            "neither model found an instance, so nothing was compared and no file was kept: give"
            " --images with objects, or a lower score threshold by --cfg-options"
        )
    return worst


@contextmanager
def _explained(batch: Mapping) -> Iterator[None]:
    """Errors of a runtime, whose kinds are many, as those of the export."""
    try:
        yield
    except ExportedModelError:
        raise
    except Exception as error:  # onnxruntime's kinds have no common base
        shape = " x ".join(map(str, batch["inputs"][0].shape[-2:]))
        raise ExportError(
            f"what was written fails on an image of {shape}, so it was deleted; a part keeps the"
            f" size that was traced: export with --size. ({_first_line(error)})"
        ) from error


def share_apart(expected: Tensor, found: Tensor) -> float:
    """Largest difference as a share of the largest value; infinite if NaN or of other shapes."""
    if expected.shape != found.shape or expected.isnan().any() or found.isnan().any():
        return float("inf")
    if not expected.numel():
        return 0.0
    return float((expected - found).abs().max() / expected.abs().max().clamp(min=1e-12))


def instances_apart(expected, found) -> dict[str, float]:
    """Differences of instances of one class whose boxes overlap most.

    One that is missing, or too many, counts with its score above the lowest: at the cut either may
    be kept.
    """
    from torchvision.ops import box_iou

    same = expected.labels[:, None] == found.labels
    overlaps = box_iou(expected.bboxes, found.bboxes) * same
    pairs = []
    for row in range(len(expected) if len(found) else 0):  # by falling score
        best = int(overlaps[row].argmax())
        if overlaps[row, best] > 0.5:
            pairs.append((row, best))
            overlaps[:, best] = 0
    ours, theirs = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    scores = torch.cat([expected.scores, found.scores])
    alone = torch.ones(len(scores), dtype=torch.bool)
    alone[ours], alone[len(expected) + theirs] = False, False
    missed = float((scores[alone] - scores.min()).max()) if alone.any() else 0.0
    differences = dict(
        boxes=share_apart(expected.bboxes[ours], found.bboxes[theirs]),
        scores=max(missed, share_apart(expected.scores[ours], found.scores[theirs])),
    )
    if "masks" in expected:
        other = expected.masks[ours] != found.masks[theirs]
        differences["masks"] = float(other.float().mean((1, 2)).max()) if len(ours) else 0.0
    return differences


def write_onnx(
    graph: Graph, pixels: Tensor, path: Path, dynamic: bool, half: bool, details: Mapping
) -> list[str]:
    """Trace a graph and write it; gives the places whose sizes became constants in the trace."""
    import onnx

    axes = {"pixels": {2: "height", 3: "width"}} if dynamic else None
    if axes and graph.kind == "segmentor":
        axes["logits"] = axes["pixels"]
    # torch 2.1 has no other exporter that works; of the newer torch this one gives the same graph.
    other = dict(dynamo=False) if hasattr(torch.onnx, "ONNXProgram") else {}
    with warnings.catch_warnings(record=True) as said, torch.no_grad():
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                graph,
                (pixels,),
                str(path),
                input_names=["pixels"],
                output_names=details["outputs"],
                opset_version=OPSET,
                dynamic_axes=axes,
                **other,
            )
        except Exception as error:  # the exporter's own kinds differ between releases
            raise _refusal(graph, error) from error
    written = onnx.load(str(path))
    if half:
        written = to_half(written)
    for name, value in details.items():
        written.metadata_props.add(key=name, value=json.dumps(value))
    onnx.save(written, str(path))
    onnx.checker.check_model(str(path))
    traced = [w for w in said if issubclass(w.category, torch.jit.TracerWarning)]
    return list(dict.fromkeys(f"{Path(w.filename).name}:{w.lineno}" for w in traced))


def to_half(written: Any) -> Any:
    """An ONNX model whose network is in float16.

    What lies outside the model's modules stays in float32: normalisation, boxes, logits in their
    last size. So do sines and cosines of positions, whose angles float16 rounds, with all that
    leads to them.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    makers = {name: node for node in written.graph.node for name in node.output}
    exact = {n.name for n in written.graph.node if n.name.count("/") < 2}
    exact |= {n.name for n in written.graph.node if n.name.startswith("/preprocessing/")}
    todo = [node for node in written.graph.node if node.op_type in ("Sin", "Cos")]
    while todo:
        node = todo.pop()
        exact.add(node.name)
        todo += [makers[x] for x in node.input if x in makers and makers[x].name not in exact]
    written = convert_float_to_float16(written, keep_io_types=True, node_block_list=sorted(exact))
    ordered = OnnxModel(written)
    ordered.topological_sort()  # casts were put behind what they are for
    return ordered.model


def write_program(
    graph: Graph, pixels: Tensor, path: Path, dynamic: bool, half: bool, details: Mapping
) -> list[str]:
    """Write a graph as a program of ``torch.export``, of one size."""
    if dynamic:
        raise ExportError(
            f"{path}: a program of torch.export asserts what followed from the traced size; give"
            " --size, or an .onnx file for any size"
        )
    if graph.kind == "detector":
        raise ExportError(
            f"{path}: torch.export cannot follow a number of boxes that varies in"
            f" {type(graph.model).__name__}; give an .onnx file, or --raw for the network alone"
        )
    if not hasattr(torch.export, "Dim"):
        raise ExportError(
            f"{path}: torch {torch.__version__} exports no such models; .pt2 needs torch 2.5 or"
            " newer, .onnx does not"
        )
    if half:
        graph.to_half()
    try:
        with torch.no_grad():
            program = torch.export.export(graph, (pixels,), strict=False)
    except Exception as error:  # of many kinds
        raise _refusal(graph, error) from error
    torch.export.save(program, path, extra_files={DETAILS: json.dumps(details)})
    return []


def _refusal(graph: Graph, error: Exception) -> ExportError:
    model, backbone = graph.model, getattr(graph.model, "backbone", graph.model)
    names = f"{type(model).__name__} with {type(backbone).__name__}"
    return ExportError(f"not this one: {names}: {_first_line(error)}")


WRITERS = {".onnx": write_onnx, ".pt2": write_program}


def _first_line(error: Exception) -> str:
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
