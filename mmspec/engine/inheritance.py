"""Values at the top of a config file that its ``_base_`` has used before it could see them."""

import ast
import contextlib
import functools
import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmspec.registry import HOOKS

# Keys of a config that act after the file was read: the runner's arguments and what it looks up.
RUNNER_KEYS = (set(inspect.signature(Runner).parameters) - {"cfg"}) | {
    *("activation_checkpointing", "compile", "efficient_conv_bn_eval"),
    *("find_unused_parameters", "model_wrapper_cfg", "sync_bn"),
}


class InheritedValueError(ValueError):
    """A config sets a variable of its base, which has already used its own value."""


def check_inherited_values(path: str | Path) -> None:
    """:func:`check_file` for a file and those it inherits from, but not of other packages."""
    path = Path(path).resolve()
    for base in _parse(path)[1]:
        if "::" not in base:  # mmdet::...
            check_inherited_values(path.parent / base)
    _check_once(path, path.stat().st_mtime_ns)


@functools.cache
def _check_once(path: Path, modified: int) -> None:
    check_file(path)  # which others may inherit from, and a training's hook asks for again


def check_file(path: str | Path) -> None:
    """Refuse a config file whose own variables would have no effect.

    A file is run before those that inherit from it, so that ``batch_size = 8`` in a child does not
    change ``train_dataloader = dict(batch_size=batch_size)`` of its base. The base is run with the
    value: what would become of it, and has not become of the child, is missed. A variable that the
    base does not have, and the child does not read, is missed where keys of that name differ.

    Raises:
        InheritedValueError: names the file, the variable, and the lines to write.
    """
    path = Path(path).resolve()
    tree, bases = _parse(path)
    if not bases:
        return
    assigned = _assigned(tree) - RUNNER_KEYS
    read = _read(tree)
    child = _run(path)
    # A part of a config that the file itself reads, it has put where it should be.
    values = {
        name: child[name]
        for name in assigned & set(child)
        if (_is_plain(child[name]) or name not in read) and _can_be_written(child[name])
    }
    if not values:
        return
    base = _run_bases(path, {})
    changed = {name: value for name, value in values.items() if base.get(name, value) != value}
    missed = changed and _missed(_run_bases(path, changed), base, child)
    for name, value in changed.items():
        if places := missed and _missed(_run_bases(path, {name: value}), base, child):
            used = f"its _base_ has already used {_short(base[name])}"
            raise InheritedValueError(_message(path, name, value, used, places))
    for name in sorted(set(values) - set(base) - read):
        value = values[name]
        named = [(place, old) for place, old in acting(child) if place[-1] == name]
        if places := [(place, value) for place, old in named if _is_plain(old) and old != value]:
            raise InheritedValueError(_message(path, name, value, "nothing reads it", places))


def _parse(path: Path) -> tuple[ast.Module, list[str]]:
    """A file's syntax, and its ``_base_`` as written: none where there is none that can be read."""
    if path.suffix != ".py":
        return ast.Module([], []), []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bases: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and "_base_" in _assigned(node):
            with contextlib.suppress(ValueError):  # an expression
                found = ast.literal_eval(node.value)
                bases = [found] if isinstance(found, str) else list(found)
    if not all("::" in base or (path.parent / base).is_file() for base in bases):
        bases = []  # mmengine says so, or knows the place
    return tree, bases


def _assigned(node: ast.stmt) -> set[str]:
    """Variables that a statement sets: one or several, with a type, or under a condition."""
    names = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _read(tree: ast.Module) -> set[str]:
    """Variables that a file uses for anything but to change them in place."""
    changed = set()
    for node in tree.body:
        call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        for target in [node.value.func] if call else getattr(node, "targets", []):
            while isinstance(target, ast.Attribute | ast.Subscript):
                target = target.value
            changed.add(target)
    names = {node for node in ast.walk(tree) if isinstance(node, ast.Name)} - changed
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


def _run(path: Path) -> dict:
    return Config.fromfile(str(path), import_custom_modules=False).to_dict()


def _run_bases(path: Path, values: dict[str, Any]) -> dict:
    """What a file inherits, if the variables of its bases had these values."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "top.py")
        copies = [_copy(path.parent, base, values, top.parent) for base in _parse(path)[1]]
        top.write_text(f"_base_ = {copies!r}\n", encoding="utf-8")
        return _run(top)


def _copy(parent: Path, base: str, values: dict[str, Any], folder: Path) -> str:
    """Copy a base file with other values of its variables; return the copy's path."""
    path = (parent / base).resolve()
    if "::" in base or path.suffix != ".py":
        return base if "::" in base else str(path)
    tree, bases = _parse(path)
    copies = [_copy(path.parent, inner, values, folder) for inner in bases]
    values = {**values, "_base_": copies}
    lines = []
    for node in tree.body:
        assigned = _assigned(node)
        if "_base_" not in assigned:  # of which mmengine would read the first
            lines.append(ast.unparse(node))
        lines += [f"{name} = {values[name]!r}" for name in sorted(assigned & set(values))]
    copy = folder / f"copy{len(list(folder.iterdir()))}.py"
    copy.write_text("\n".join(lines), encoding="utf-8")
    return str(copy)


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, a text or a tuple of such, not a part of a config."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _can_be_written(value: Any) -> bool:
    """Whether a value's text gives the value back."""
    try:
        return ast.literal_eval(repr(value)) == value
    except (SyntaxError, ValueError):
        return False


def _missed(wanted: dict, base: dict, child: dict) -> list[tuple[tuple, Any]]:
    """Places, and their values, where the child has what its base would not have any more."""
    keys = RUNNER_KEYS & set(wanted) & set(base) & set(child)
    keys.discard("auto_scale_lr")  # the batch that the rate is for, whatever the batch
    if "data_preprocessor" in (child.get("model") or {}):
        keys.discard("data_preprocessor")  # only of a model without one
    return [
        (place, value)
        for key in sorted(keys)
        for place, value in _differences(wanted[key], base[key], child[key], (key,))
    ]


def _differences(wanted, base, child, place: tuple) -> Iterator[tuple[tuple, Any]]:
    if wanted == base or type(child) is not type(base):
        return
    if isinstance(base, dict) and isinstance(wanted, dict):
        for key in wanted:
            if key in base and key in child:
                yield from _differences(wanted[key], base[key], child[key], (*place, key))
            elif key not in base and child == base:  # range, beside the base's percentiles
                yield (*place, key), wanted[key]
    elif _is_plain(base) or not isinstance(base, list | tuple) or len(wanted) != len(base):
        if child == base:
            yield place, wanted
    else:
        for index, parts in enumerate(zip(wanted, base, child)):
            yield from _differences(*parts, (*place, index))


def acting(cfg: dict) -> Iterator[tuple[tuple, Any]]:
    """Every place in the part of a config that acts, and what stands there."""

    def walk(node: Any, place: tuple) -> Iterator[tuple[tuple, Any]]:
        yield place, node
        if isinstance(node, list | tuple):
            node = dict(enumerate(node))
        for key, inner in node.items() if isinstance(node, dict) else ():
            yield from walk(inner, (*place, key))

    for key in cfg:
        if key in RUNNER_KEYS:
            yield from walk(cfg[key], (key,))


def _message(path: Path, name: str, value: Any, used: str, places: list[tuple[tuple, Any]]) -> str:
    places = [(place, _Name(name) if found == value else found) for place, found in places]
    lines = "\n".join(f"    {line}" for line in _lines(places))
    return (
        f"{path}: {name} = {_short(value)} has no effect, {used}."
        f" Write where it acts:\n{lines}\nIf it is meant for something else, give it another name."
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class _Name(str):
    """A variable, which a line shows by its name."""

    __repr__ = str.__str__


def _lines(places: list[tuple[tuple, Any]]) -> Iterator[str]:
    """Lines of a config file that put values to places."""
    nested: dict = {}
    for top in dict.fromkeys(place[0] for place, _ in places):
        inside = [(place, value) for place, value in places if place[0] == top]
        if any(isinstance(key, int) for place, _ in inside for key in place):
            yield f"{top} = _base_.{top}"
            for place, value in inside:
                yield f"{top}{''.join(f'[{key!r}]' for key in place[1:])} = {value!r}"
            continue
        for place, value in inside:
            node = nested
            for key in place[:-1]:
                node = node.setdefault(key, {})
            node[place[-1]] = value
        yield f"{top} = {_call(nested[top])}"


def _call(node: Any) -> str:
    if not isinstance(node, dict):
        return repr(node)
    return f"dict({', '.join(f'{key}={_call(value)}' for key, value in node.items())})"


@HOOKS.register_module()
class InheritedValuesHook(Hook):
    """Refuse with InheritedValueError a run whose config file sets what its ``_base_`` has used.

    ``tools/train.py`` and ``tools/test.py`` refuse such a file when they read it; this is for the
    frameworks' own tools (``mim train``), which is after the data sets were built.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        file = runner.cfg.filename
        if file and Path(file).is_file():
            check_inherited_values(file)
