"""What ``tools/train.py`` and ``tools/test.py`` share: from a config file to a runner."""

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmspec.explain import key_values
from mmspec.installed import tools_folder
from mmspec.registry import HOOKS

from .inheritance import RUNNER_KEYS, InheritedValueError, acting, check_inherited_values
from .pictures import PictureHook

# Hooks of mmspec's own configs that any config can have. configs/_base_/runtime.py names them too,
# for `mim train mmpretrain`, whose tool does not come here; a config that imported them would be
# mmengine's other kind, which has no _base_ by file names.
RUN_HOOKS = {
    "runtime_info": dict(type="mmspec.DeferredLogHook"),
    "resume": dict(type="mmspec.ResumeHook"),
    "schedule": dict(type="mmspec.ScheduleHook"),
    "head_classes": dict(type="mmspec.HeadClassesHook"),
    "draws": dict(type="mmspec.RepeatableDrawsHook"),
    "tf32": dict(type="mmspec.TF32Hook"),
}


class LaunchError(ValueError):
    """A command line, config or machine that cannot work; the message names the way out."""


def read_config(path: str, options: Sequence[str] = ()) -> Config:
    """Read a config file and apply ``KEY=VALUE`` options.

    Raises:
        LaunchError: no such file, a value in it or an option that would change nothing, or an
            option without ``=``.
    """
    if not Path(path).is_file():
        raise LaunchError(f"no config file {path}{_similar_configs(path)}")
    cfg = Config.fromfile(path)
    try:
        check_inherited_values(path)
    except InheritedValueError as error:
        raise LaunchError(str(error)) from error
    merge_options(cfg, options)
    settle_preprocessor(cfg)
    return cfg


def settle_preprocessor(cfg: Config) -> None:
    """Give a model without a data preprocessor the config's, as a runner does."""
    if cfg.get("model") and cfg.get("data_preprocessor"):
        cfg.model.setdefault("data_preprocessor", cfg.data_preprocessor)


def merge_options(cfg: Config, options: Sequence[str]) -> None:
    """Merge ``KEY=VALUE`` options into a config; a key that would have no effect is an error.

    mmengine accepts any key, so that a misspelt one, or a variable the file has already used (such
    as ``data_root``), would be dropped without a word. Deeper keys are arguments of classes and are
    checked when these are built.
    """
    try:
        found = key_values(options)
    except ValueError as error:
        raise LaunchError(f"--cfg-options {error}") from error
    for key in found:
        top, *rest = key.split(".")
        if top in RUNNER_KEYS:
            continue
        if top in cfg:
            places = [".".join([place, *rest]) for place in _places(cfg, top)]
            set_there = f"set where it is used: {', '.join(places)}"
            above = f"set it in a config on top, _base_ = '{cfg.filename}'"
            raise LaunchError(
                f"--cfg-options {key}: '{top}' is a variable that {cfg.filename} has already used; "
                f"{set_there if places else above}"
            )
        close = difflib.get_close_matches(top, RUNNER_KEYS & set(cfg), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f", which has: {', '.join(cfg)}"
        raise LaunchError(f"--cfg-options {key}: no '{top}' in {cfg.filename}{hint}")

    try:
        cfg.merge_from_dict(found)
    except (KeyError, TypeError) as error:
        raise LaunchError(f"--cfg-options {' '.join(options)}: {error}") from error


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config for the machine at hand, and log what that changed.

    Without a GPU, several processes talk through gloo, and mixed precision becomes float32. Loaders
    may have no workers. Configs of the frameworks get the hooks that look after resumed runs.

    Raises:
        LaunchError: there is no model, or the launcher needs a GPU and there is none.
    """
    if "model" not in cfg:
        raise LaunchError(f"{cfg.filename} has no model; is it a part, for _base_ of a config?")
    allow_no_workers(cfg)
    scale_by_parts(cfg)
    compile_by_hook(cfg)
    cfg.default_hooks = {**RUN_HOOKS, **(cfg.get("default_hooks") or {})}
    notes = adapt_to_cpu(cfg) if get_device() == "cpu" else []
    if cfg.launcher == "mpi":  # mmengine reads it when it wraps the model
        os.environ.setdefault("LOCAL_RANK", os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    for note in notes + count_accumulation(runner, cfg):
        runner.logger.warning(note)
    return runner


def allow_no_workers(cfg: Config) -> None:
    """Drop from loaders with ``num_workers=0`` the arguments that PyTorch then refuses."""
    refused = ("multiprocessing_context", "persistent_workers", "prefetch_factor", "timeout")
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = cfg.get(name)
        if isinstance(loader, dict) and not loader.get("num_workers"):
            for key in refused:
                loader.pop(key, None)


def scale_by_parts(cfg: Config) -> None:
    """Have each part of a ``ConcatDataset`` scale by its own; checkpoints keep the first's."""
    for _, node in acting(cfg):
        kind = node.get("type", "") if isinstance(node, dict) else ""
        if getattr(kind, "__name__", str(kind)).endswith("ConcatDataset"):
            ignored = node.get("ignore_keys") or []
            ignored = [ignored] if isinstance(ignored, str) else list(ignored)
            node["ignore_keys"] = list(dict.fromkeys([*ignored, "infrared_scale"]))


def compile_by_hook(cfg: Config) -> None:
    """Put :class:`CompileHook` in the place of ``compile``: True or options of torch.compile."""
    options = cfg.pop("compile", False)
    if options or options == {}:
        options = {} if options is True else options
        cfg.custom_hooks = [
            *(cfg.get("custom_hooks") or []),
            dict(type="mmspec.CompileHook", **options),
        ]


def count_accumulation(runner: Runner, cfg: Config) -> list[str]:
    """Have ``auto_scale_lr`` count all batches of a step, of which mmengine takes one; say so.

    The config stays as it is: a run from the copy in the work directory counts them once, too.
    """
    parts = (cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    scale = cfg.get("auto_scale_lr") or {}
    if parts == 1 or not scale.get("enable"):
        return []
    base = scale.base_batch_size / parts
    runner.auto_scale_lr = dict(scale, base_batch_size=base)
    return [
        f"A step accumulates {parts} batches: the learning rate is scaled to all of them, by a "
        f"base_batch_size of {base:g} for each."
    ]


def adapt_to_cpu(cfg: Config) -> list[str]:
    """Change in a config what needs a GPU, start gloo if there are several processes; say what."""
    notes = []
    wrapper = cfg.get("optim_wrapper") or {}
    if str(wrapper.get("type", "")).endswith("AmpOptimWrapper"):
        wrapper.type = "OptimWrapper"
        wrapper.pop("loss_scale", None)
        wrapper.pop("dtype", None)
        notes.append("No GPU: training in float32, the config's mixed precision needs a GPU.")
    if cfg.launcher == "pytorch":
        # mmengine selects a CUDA device before it starts the process group, unless one is there.
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        ddp = dict(type="MMDistributedDataParallel", broadcast_buffers=False)
        ddp["find_unused_parameters"] = cfg.get("find_unused_parameters", False)
        cfg.model_wrapper_cfg = {**ddp, **cfg.get("model_wrapper_cfg", {}), "device_ids": None}
        notes.append("No GPU: the processes talk through gloo, on the CPU.")
    elif cfg.launcher != "none":
        raise LaunchError(f"--launcher {cfg.launcher} needs a GPU; on CPUs use --launcher pytorch")
    return notes


def draw_to(cfg: Config, folder: str) -> None:
    """Have the config's visualization hook draw every tested image into a folder.

    Raises:
        LaunchError: the config has no visualization hook, or one of a kind unknown here.
    """
    folder = str(Path(folder).absolute())
    hook = (cfg.get("default_hooks") or {}).get("visualization") or {}
    kind = str(hook.get("type")).rpartition(".")[2]
    if kind == "VisualizationHook":  # mmpretrain
        hook.update(enable=True, interval=1, out_dir=folder)
    elif kind == "DetVisualizationHook":
        hook.update(draw=True, test_out_dir=folder)
    elif kind == "SegVisualizationHook":
        hook.update(draw=True, interval=1)
        cfg.visualizer.save_dir = folder
    elif kind in HOOKS and issubclass(HOOKS.get(kind), PictureHook):
        hook.update(num_images=None, out_dir=folder)
    else:
        raise LaunchError(
            f"--show-dir: default_hooks.visualization of {cfg.filename} is not one of mmpretrain, "
            f"mmdet, mmseg or mmspec, but {kind}; pictures of a pre-training are drawn by "
            "tools/visualization/reconstruct.py"
        )


def augment_tests(cfg: Config, scales: Sequence[float] = ()) -> None:
    """Have a config of mmseg test the mean score of an image, its mirror images and other sizes.

    Args:
        scales: sizes beside the image's own, as factors; each is mirrored too.

    Raises:
        LaunchError: the config is not of mmseg, its test pipeline does not end in mmseg's
            ``PackSegInputs``, or a scale is not positive.
    """
    if cfg.get("default_scope") != "mmseg":
        raise LaunchError(f"--tta: {cfg.filename} is of {cfg.get('default_scope')}, not of mmseg")
    if any(scale <= 0 for scale in scales):
        raise LaunchError(f"--tta {' '.join(map(str, scales))}: scales are factors above 0")
    pipeline = cfg.test_dataloader.dataset.get("pipeline") or [{}]
    *steps, last = pipeline
    if last.get("type") != "PackSegInputs":
        raise LaunchError(
            f"--tta: the test pipeline of {cfg.filename} ends in {last.get('type')}, not in"
            " mmseg's PackSegInputs"
        )
    if "meta_keys" in last:  # by which a flip is undone
        told = [key for key in ("flip", "flip_direction") if key not in last["meta_keys"]]
        last = {**last, "meta_keys": (*last["meta_keys"], *told)}
    # The first view is left alone: to resize it would bring truth that was loaded at the image's
    # own size to that of the network's input.
    sizes = [dict(type="RandomFlip", prob=0.0)]
    sizes += [dict(type="Resize", scale_factor=scale, keep_ratio=True) for scale in scales]
    flips = [
        dict(type="RandomFlip", prob=prob, direction=direction)
        for prob, direction in ((0.0, "horizontal"), (1.0, "horizontal"), (1.0, "vertical"))
    ]
    views = dict(type="TestTimeAug", transforms=[sizes, flips, [last]])
    cfg.test_dataloader.dataset.pipeline = [*steps, views]
    cfg.model = dict(type="mmspec.MeanScores", module=cfg.model)


def _places(cfg: Config, variable: str) -> list[str]:
    """Dotted keys under which the value of a variable of the file went into the runner's part.

    Those named like the variable alone, if there are any: equal numbers may be a coincidence. A
    dict of the file has keys of its base's beside what went there.
    """
    value = cfg[variable]
    found = [
        place
        for place, node in acting(cfg)
        if type(node) is type(value)
        and (
            node == value
            or (place[-1] == variable and isinstance(value, dict) and {**value, **node} == value)
        )
    ]
    named_alike = [place for place in found if place[-1] == variable]
    return [".".join(map(str, place)) for place in named_alike or found]


def _similar_configs(path: str) -> str:
    """Up to three of the configs beside ``tools``, in a clone or in ``.mim``.

    The shortest that have all parts of the name, or else those with the nearest name.
    """
    configs = {file.name: file for file in tools_folder().with_name("configs").rglob("*.py")}
    name = Path(path).with_suffix(".py").name
    parts = set(re.split("[-_.]", name))
    close = [known for known in configs if parts <= set(re.split("[-_.]", known))]
    close = sorted(close, key=len)[:3] or difflib.get_close_matches(name, configs, n=3)
    return "; did you mean " + ", ".join(str(configs[name]) for name in close) if close else ""


def leave_process_group() -> None:
    """Ends the processes' group, if there is one.

    Left to the interpreter's end, gloo's threads now and then abort a process that has done its
    work, and the launcher reports a failure.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
