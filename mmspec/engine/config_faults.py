"""What a config has wrong, in one line: an error raised while mmengine builds what it names."""

import difflib
import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS, Registry

from .inheritance import acting

# Functions of mmengine that build something from a part of a config.
_BUILDER = re.compile(r"mmengine\.(\w+\.)*(build|from_cfg)\w*$")


class ConfigError(ValueError):
    """A config that cannot be built; the message names the key and what is wrong."""


@contextmanager
def naming_faults(cfg: Config) -> Iterator[None]:
    """Make a :class:`ConfigError` of what is refused while mmengine builds parts of the config.

    Refused is what a ``raise`` or an ``assert`` ends, an argument that a class does not take or
    lacks, and a text that an operation names or finds in place of a number. Any other operation
    that fails there may be a bug: it keeps its traceback, as does whatever fails in a step of the
    training.
    """
    try:
        yield
    except Exception as error:
        explained = type(error).__module__.startswith("mmspec.") or isinstance(error, OSError)
        if explained or not (fault := _fault(cfg, error)):
            raise
        raise ConfigError(fault) from error


def _fault(cfg: Config, error: Exception) -> str | None:
    """What was refused while something was built, after its key; None if nothing was."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}" for frame in frames]
    builders = [frame for frame, name in zip(frames, names) if _BUILDER.match(name)]
    if not builders:
        return None
    # What a function builds is the first of its arguments that is a dict with something in it.
    locals_ = [f.f_locals.values() for f in builders]
    parts = [next((x for x in values if isinstance(x, dict) and x), {}) for values in locals_]
    building = builders[-1].f_locals
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    raised = traceback.extract_tb(error.__traceback__)[-1]
    # What Module.__getattr__ and the like raise comes of an operation of their caller.
    operation = re.match("__(get|set|missing)", raised.name)
    refused = not operation and re.match(r"(raise|assert)\b", raised.line or "")
    for at in (frame.f_locals for frame in frames):
        # mmengine looks into an optimizer's class before it asks whether there is one.
        if "optimizer_cfg" in at and at.get("optimizer_cls", "") is None:
            building, parts = at, [*parts, at["optimizer_cfg"]]
            text = f"{parts[-1]['type']} is not in the optimizer registry"
    kind = building.get("obj_cls") or building.get("cls")
    absent = re.match(r"Failed to get (\S+)|(\S+) is not in the [\w: ]+ registry", text)
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
    if absent and "registry" in building:
        scope, _, name = (absent[1] or absent[2]).rpartition(".")
        text = absent[0] + _closest(name, _registered(building["registry"], scope))
    elif unexpected:
        known = _parameters(kind)
        refused = refused or (unexpected[1] in parts[-1] and unexpected[1] not in known)
        text += _closest(unexpected[1], known)
    elif builders[-1] is frames[-1]:
        refused = refused or re.search(r"missing \d+ required", text)
    if isinstance(inner := parts[-1].get("optimizer"), dict):  # of which a constructor makes groups
        kind, parts = OPTIMIZERS.get(str(inner.get("type"))), [*parts, inner]
    wrong = _text_at_fault(error, kind, parts[-1])
    if wrong and not refused:
        refused, text = True, f"{wrong}: {'unknown' if isinstance(error, KeyError) else text}"
    return f"{_name(cfg, parts)}: {text or raised.line}" if refused else None


def _text_at_fault(error: Exception, kind: Callable | None, part: dict) -> str | None:
    """The argument, ``key='text'``, that an operation could not work with."""
    given = [(key, value) for key, value in part.items() if isinstance(value, str)]
    found = [(key, value) for key, value in given if key != "type" and repr(value) in str(error)]
    if not found and isinstance(error, TypeError):
        numbers = [k for k, p in _arguments(kind).items() if isinstance(p.default, int | float)]
        found = [(key, value) for key, value in given if key in numbers]
    return next((f"{key}={value!r}" for key, value in found), None)


def _name(cfg: Config, parts: list[dict]) -> str:
    """Key and type of the last of nested parts that is in the config.

    Of equal parts that within the one before, as all loaders may have the same transform. Else the
    type alone, or where there is none the config's file.
    """
    name, inside = parts[-1].get("type") or cfg.filename, ()
    nodes = [(place, node) for place, node in acting(cfg) if node and isinstance(node, dict)]
    for part in parts:
        like = [x for x in nodes if x[1].get("type") == part.get("type")]
        like = [x for x in like if part == {**part, **x[1]}]  # mmengine adds to what it builds
        if like := [x for x in like if x[0][: len(inside)] == inside] or like:
            inside, node = max(like, key=lambda x: len(x[1]))
            name = ".".join(map(str, inside)) + (f" ({node['type']})" if "type" in node else "")
    return str(name)


def _closest(name: str, known: dict[str, str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {known[found[0]]!r}?" if found else ""


def _registered(registry: Registry, scope: str) -> dict[str, str]:
    """How a config writes each class: of the scope, or without one of all, at last its own."""
    root = registry.parent or registry
    every = [*root.children.values(), root, registry]
    searched = [x for x in every if x.scope == scope] or every
    return {k: f"{x.scope}.{k}" if x.parent else k for x in searched for k in x.module_dict}


def _parameters(kind: Callable | None) -> dict[str, str]:
    """Names of what a class takes, also of what it passes on to those it derives from."""
    return {name: name for name in _arguments(kind) if name not in ("self", "kwargs")}


def _arguments(kind: Callable | None) -> dict[str, inspect.Parameter]:
    calls = [vars(x).get("__init__") for x in getattr(kind, "__mro__", ())] or [kind]
    taken = [inspect.signature(call).parameters for call in calls if inspect.isfunction(call)]
    return {name: one for parameters in taken for name, one in parameters.items()}
