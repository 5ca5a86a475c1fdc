"""Reading any known checkpoint into mmspec's names."""

import ast
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from .layouts import LAYOUTS, find_layout
from .safe_load import CheckpointError, load_file, load_header
from .shipped import find_checkpoint


@dataclass(frozen=True)
class CheckpointInfo:
    """Where a state dict came from.

    Attributes:
        path: the file.
        layout: name of the family of checkpoints it belongs to.
        ignored: tensors of the file that were left out, with the reason.
        epoch: epochs trained, where the file says so.
        pretrain_grid: patches a side that fixed positions were made for, where the file says so.
        img_size: (H, W) in pixels that the stored positions of a ViT are for, likewise.
        header: texts beside the tensors of a file that ``tools/model_converters/convert.py`` wrote:
            mean and std of the input, recipe, licence and what else was put there.
        arch: settings of the encoder's size, where such a header or the training's config has them.
        mean_std: mean and std of the gray levels that the encoder was trained on, by channel, of
            pairs those of the infrared side, likewise.
    """

    path: str
    layout: str
    ignored: dict[str, str] = field(default_factory=dict)
    epoch: int | None = None
    pretrain_grid: int | None = None
    img_size: tuple[int, int] | None = None
    header: dict[str, str] = field(default_factory=dict)
    arch: dict | None = None
    mean_std: tuple[list[float], list[float]] | None = None


def _tensors(content: Any) -> dict[str, Tensor]:
    """The state dict inside a file's content, without the prefixes of wrappers."""
    if not isinstance(content, Mapping):
        return {}
    for key in ("state_dict", "model", "module"):
        if isinstance(content.get(key), Mapping):
            return _tensors(content[key])
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    # Of a distributed run, of torch.compile, of Lightning's "model" and the like.
    names = list(tensors)
    while find_layout(dict.fromkeys(names)) is None:
        firsts = {name.partition(".")[0] for name in names}
        names = [name.partition(".")[2] for name in names]
        if len(firsts) != 1 or "" in names:
            return tensors
    return dict(zip(names, tensors.values()))


def _kinds(content: Any) -> str:
    """What a file without tensors holds instead, by its first entries."""
    entries = list(content.items())[:6] if isinstance(content, Mapping) else [("file", content)]
    return ", ".join(f"{key!s}: {type(value).__name__}" for key, value in entries) or "nothing"


def _texts(meta: Any) -> dict[str, str]:
    """Of what convert.py writes, not of the state of a training."""
    if not isinstance(meta, Mapping) or "mmspec_version" not in meta:
        return {}
    return {key: value for key, value in meta.items() if isinstance(value, str)}


def _of_model(config: Any, *keys: str) -> dict:
    """The literals of ``model.KEY.KEY`` in a config's text; nothing is executed."""
    found = {}
    with suppress(AttributeError, RecursionError, SyntaxError, TypeError, ValueError):
        # None, or written in another way.
        assigned = [line for line in ast.parse(config).body if isinstance(line, ast.Assign)]
        node = {line.targets[0].id: line.value for line in assigned}.get("model")
        for key in keys:
            node = {part.arg: part.value for part in getattr(node, "keywords", ())}.get(key)
        for part in getattr(node, "keywords", ()):
            with suppress(ValueError):  # a dict in it, say
                found[part.arg] = ast.literal_eval(part.value)
    return found


def _mean_std(told: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    """Of a config, or of a header, whose values are JSON; there a note may have such a name too."""
    for side in ("_infrared", ""):
        given = [told.get(f"{name}{side}") for name in ("mean", "std")]
        with suppress(ValueError):
            given = [json.loads(x) if isinstance(x, str) else x for x in given]
            if all(isinstance(x, list | tuple) for x in given):
                return list(given[0]), list(given[1])
    return None


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], CheckpointInfo]:
    """Read a checkpoint of any known layout.

    Known: InfMAE, ConvMAE / MCMAE and M-SpecGene as published, facebookresearch/mae and timm ViTs,
    mmpretrain's ViT, and mmspec's own (training checkpoints, converted files, safetensors, bare
    backbones). Nothing in the file is executed, and a file is mapped, not read: of one with an
    optimiser's state only the tensors that are used take memory.

    Args:
        path: a ``.pth``, ``.pt`` or ``.safetensors`` file, or the name of an encoder that mmspec
            ships (:func:`~mmspec.checkpoints.find_checkpoint`).

    Returns:
        The tensors on CPU under mmspec's names (``backbone.*``, ``neck.*``, ...), and where they
        are from.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: no checkpoint, or of no known layout.
    """
    path = find_checkpoint(path)
    content = load_file(path)
    tensors = _tensors(content)
    layout = find_layout(tensors)
    if layout is None:
        names = ", ".join(list(tensors)[:3]) or f"only {_kinds(content)}"
        markers = "; ".join(f"{known.name} has {known.marker}" for known in LAYOUTS)
        raise CheckpointError(
            f"checkpoint {path}: {len(tensors)} tensors ({names}, ...), none of InfMAE, ConvMAE, "
            "M-SpecGene, MAE, a ViT or mmspec's own; tensors are looked for in the file, in its "
            f"state_dict, model and module, and layouts are known by one's name: {markers}"
        )
    state, ignored = layout.convert(tensors)
    grid = round(tensors["pos_embed"].shape[1] ** 0.5) if "pos_embed" in ignored else None
    meta = load_header(path) or content.get("meta", content)
    epoch = meta.get("epoch") if isinstance(meta, Mapping) else None
    epoch = epoch if isinstance(epoch, int) else None
    header = _texts(meta)
    trained_by = meta.get("cfg") if isinstance(meta, Mapping) else None
    told = _of_model(trained_by, "backbone")
    told |= {k: json.loads(header[k]) for k in ("pretrain_grid", "img_size") if k in header}
    size = told.get("img_size")
    size = (size, size) if isinstance(size, int) else size and tuple(size)
    arch = (
        json.loads(header["arch"])
        if "arch" in header
        else _of_model(trained_by, "backbone", "arch")
    )
    mean_std = _mean_std(header) or _mean_std(_of_model(trained_by, "data_preprocessor"))
    info = CheckpointInfo(
        str(path),
        layout.name,
        ignored,
        epoch,
        grid or told.get("pretrain_grid"),
        size,
        header,
        arch or None,
        mean_std,
    )
    return state, info
