"""The strides that heads expect, beside those of the maps they are given.

A head of mmdet that gets maps of other strides than its anchors or points have trains without a
word: it looks for objects in the wrong places.
"""

import weakref
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from .input_check import is_traced

# Which model has an encoder as its backbone: a module does not know whose part it is.
_MODELS: weakref.WeakKeyDictionary[nn.Module, weakref.ref] = weakref.WeakKeyDictionary()


class StrideCheck:
    """Forward pre-hook of an encoder, which looks once at what a detector makes of its maps.

    The encoder has ``strides`` of all maps that it can give, ``out_strides`` and ``out_channels``
    of those that it gives. At its first forward in a detector the modules that know strides are
    found, and each compares them with the maps that it is given, until they have fitted once. The
    maps are measured: any neck may lie between, and nothing is read from the device.

    Raises (in that forward):
        ValueError: strides differ; or DETR, which reads one map, is given more, whose projections
            would stay idle. The message has the ``out_indices`` to write.
    """

    def __init__(self) -> None:
        self.image_size = (0, 0)
        self.done = False

    def __call__(self, encoder: nn.Module, inputs: tuple) -> None:
        if is_traced() or len(inputs) != 1:  # with a mask, it pre-trains
            return
        self.image_size = tuple(inputs[0].shape[-2:])
        model = None if self.done else _MODELS.get(encoder, lambda: None)()
        if model is None:
            return
        self.done = True
        for module in model.modules():
            for expected in expected_strides(module):
                hook = _Reader(self, encoder, expected)
                hook.handle = module.register_forward_pre_hook(hook)
        if any(cls.__name__ == "DETR" for cls in type(model).__mro__):
            hook = _OneMap(encoder, type(model).__name__)
            hook.handle = getattr(model, "neck", encoder).register_forward_hook(hook)


def _remember(model: nn.Module, name: str, module: nn.Module | None) -> None:
    if (
        name == "backbone"
        and module is not None
        and any(isinstance(hook, StrideCheck) for hook in module._forward_pre_hooks.values())
    ):
        _MODELS[module] = weakref.ref(model)


register_module_module_registration_hook(_remember)


class _Reader:
    """Forward pre-hook of a module that knows the strides of its maps; leaves when they fit."""

    def __init__(self, check: StrideCheck, encoder: nn.Module, expected: list[float]) -> None:
        self.check, self.encoder, self.expected = check, encoder, expected

    def __call__(self, module: nn.Module, inputs: tuple) -> None:
        maps, size = inputs[0] if inputs else None, self.check.image_size
        if not isinstance(maps, Sequence) or any(getattr(m, "ndim", 0) != 4 for m in maps):
            return
        if all(_fits(m, size, stride) for m, stride in zip(maps, self.expected)):
            self.handle.remove()
            return
        found = [round(size[0] / m.shape[-2]) for m in maps]
        wanted = _wanted(self.encoder, self.expected, found)
        raise ValueError(
            f"{type(module).__name__} takes its maps to have strides {_listed(self.expected)} and "
            f"is given strides {_listed(found)}. {_way_out(self.encoder, wanted)}"
        )


class _OneMap:
    """Forward hook of the neck of DETR, which reads the last map alone; leaves when it is one."""

    def __init__(self, encoder: nn.Module, reader: str) -> None:
        self.encoder, self.reader = encoder, reader

    def __call__(self, neck: nn.Module, inputs: tuple, maps: Sequence[Tensor]) -> None:
        if len(maps) == 1:
            self.handle.remove()
            return
        raise ValueError(
            f"{self.reader} reads one map and is given {len(maps)}: the others and their "
            f"projections would stay idle. {_way_out(self.encoder, self.encoder.out_strides[-1:])}"
        )


def expected_strides(module: nn.Module) -> list[list[float]]:
    """The strides that a module takes its maps to have: none, or of each of its prior generators.

    Generators are those of anchors or points (mmdet); RoI extractors have ``featmap_strides``.
    """
    known = [v for v in vars(module).values() if hasattr(v, "strides") and hasattr(v, "num_levels")]
    known = [value.strides for value in known]
    if hasattr(module, "featmap_strides"):
        known.append(module.featmap_strides)
    # Generators have pairs, (x, y).
    return [[max(s) if isinstance(s, Sequence) else s for s in strides] for strides in known]


def _fits(maps: Tensor, size: tuple[int, int], stride: float) -> bool:
    """Whether maps have that stride of an image, but for rounding at its border."""
    return all(
        abs(found - pixels / stride) <= 1 or 2 / 3 < found * stride / pixels < 3 / 2
        for found, pixels in zip(maps.shape[-2:], size)
    )


def _wanted(encoder: nn.Module, expected: Sequence[float], found: Sequence[float]) -> list[int]:
    """The encoder's strides from the one that gives a reader its finest map on."""
    finest = encoder.out_strides[0] * min(expected) / min(found)
    wanted = [s for s in encoder.strides if finest <= s <= max(expected)]
    return wanted if finest in wanted else [s for s in encoder.strides if s in expected]


def _way_out(encoder: nn.Module, wanted: Sequence[int]) -> str:
    given = f"{type(encoder).__name__} gives strides {_listed(encoder.out_strides)}"
    if len(encoder.strides) == 1:
        return f"{given}: put neck=dict(type='mmspec.SimpleFPN', ...) behind it"
    if not wanted or tuple(wanted) == encoder.out_strides:
        return f"{given}: what lies between has to make others of them"
    indices = tuple(encoder.strides.index(s) for s in wanted)
    channels = dict(zip(encoder.out_strides, encoder.out_channels))
    widths = ", ".join(str(channels.get(s, "...")) for s in wanted)
    return f"{given}: write out_indices={indices} for it and in_channels=[{widths}] behind it"


def _listed(strides: Sequence[float]) -> str:
    return ", ".join(f"{stride:g}" for stride in strides)
