"""ConvViT as the backbone of upstream configs: what trains and predicts, as a table.

    python tools/analysis_tools/drop_in.py mmdet --match '*/*_r50_*' --jobs 2
    python tools/analysis_tools/drop_in.py mmseg pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py

Each config runs in a process of its own: the lines of its kind (drop_in_lines.py) are written below
its name, the model is built with a tiny encoder, takes one training step on two random images and
predicts one. It passes if the loss is finite and each tensor of the encoder that should learn has a
gradient. Nothing is downloaded: weights that a config names for other parts are left out. To take
seconds, images are small and not padded, and proposals, samples and queries are few. What
fails is tried on its own backbone: where that fails too, the fault is not the encoder's.
"""

import argparse
import fnmatch
import importlib
import json
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from drop_in_lines import NotMaps, as_config, lines_for

FRAMEWORKS = ("mmdet", "mmseg", "mmpretrain")
#: Pixels a side. SSD's last maps vanish in less than 300; LRASPP pools 49 x 49 positions at 1/8.
SIZE = {"mmdet": 320, "mmseg": 128, "mmpretrain": 64}
LEAST = {"LRASPPHead": 400}
UPSTREAM = "fails on its own backbone too"
RESULT = "drop_in result: "


def main() -> None:
    args = parse_args()
    if args.one:
        print(RESULT + json.dumps(run(args.framework, args.configs[0])), flush=True)
        return
    configs = args.configs or [
        name for name in installed_configs(args.framework) if fnmatch.fnmatch(name, args.match)
    ]
    if args.plainest:
        configs = plainest(configs)
    folder = config_folder(args.framework)
    if missing := [name for name in configs if not (folder / name).is_file()]:
        raise SystemExit(f"no such config in {folder}: {', '.join(missing)}")
    with ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(run_apart, args.framework, name, args.seconds) for name in configs]
        rows = []
        for job in jobs:
            rows.append(job.result())
            print(row(rows[-1]), flush=True)
    counts = Counter(r["state"] for r in rows)
    maps = len(rows) - counts["not maps"] - counts[UPSTREAM]
    print(
        f"\n{counts['passed']} of {maps} train and predict; {counts['not maps']} take no maps, "
        f"{counts[UPSTREAM]} fail on their own backbone too"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("framework", choices=FRAMEWORKS)
    parser.add_argument(
        "configs", nargs="*", help="below the framework's configs/; all installed ones if none"
    )
    parser.add_argument("--match", default="*", help="of all, those that fit a pattern")
    parser.add_argument("--plainest", action="store_true", help="of these, one of each folder")
    parser.add_argument("--seconds", type=float, default=300, help="limit of a config")
    parser.add_argument("--jobs", type=int, default=1, help="configs at a time")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def row(result: dict[str, Any]) -> str:
    """A row of a Markdown table."""
    return "| {config} | {kind} | {state} | {detail} |".format(**result)


def config_folder(framework: str) -> Path:
    """Where the installed framework keeps its configs."""
    spec = importlib.util.find_spec(framework)
    if spec is None:
        raise SystemExit(f"{framework} is not installed")
    return Path(spec.origin).parent / ".mim" / "configs"


def installed_configs(framework: str) -> list[str]:
    """Names of all configs of the framework that are no parts of others."""
    folder = config_folder(framework)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py"))
    return [n for n in names if not {"_base_", "common"} & set(Path(n).parts)]


def plainest(names: list[str]) -> list[str]:
    """One config of each folder: of a ResNet-50 or a base model, with the fewest additions."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(Path(name).parts[0], []).append(name)

    def additions(name: str) -> tuple:
        return "r50" not in name and "base" not in name, name.count("-") + name.count("_"), name

    return [min(inside, key=additions) for inside in folders.values()]


def run_apart(framework: str, name: str, seconds: float) -> dict[str, Any]:
    """The result of :func:`run` in a process of its own."""
    command = [sys.executable, __file__, framework, name, "--one"]
    result = dict(config=name, kind="", state="failed", detail="")
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {**result, "detail": f"not done in {seconds:g} s"}
    for line in process.stdout.splitlines():
        if line.startswith(RESULT):
            return json.loads(line.removeprefix(RESULT))
    last = (process.stderr.strip().splitlines() or [""])[-1]
    return {**result, "detail": f"exit {process.returncode}: {last[:200]}"}


def run(framework: str, name: str, size: int | None = None, own: bool = False) -> dict[str, Any]:
    """Build a config with the encoder, take a step, predict: what became of it.

    Args:
        framework: 'mmdet', 'mmseg' or 'mmpretrain'.
        name: the config, below the framework's folder of them.
        size: side of the images in pixels.
        own: leave the config its own backbone.
    """
    warnings.simplefilter("ignore")
    result = dict(config=name, kind="", state="failed", detail="")
    start = time.monotonic()
    try:
        config, result["kind"] = user_config(framework, config_folder(framework) / name, own)
        result["detail"] = try_model(framework, config, size or SIZE[framework], own)
        result["state"] = "passed"
    except NotMaps as reason:
        result.update(state="not maps", detail=str(reason))
    except Exception as error:
        traceback.print_exc()
        text = " ".join(str(error).split())
        result["detail"] = f"{type(error).__name__}: {text[:300]}".replace("|", "/")
        if not own and run(framework, name, size, own=True)["state"] == "failed":
            result["state"] = UPSTREAM
    result["seconds"] = round(time.monotonic() - start, 1)
    return result


def user_config(framework: str, base: Path, own: bool) -> tuple[Any, str]:
    """The config that a user writes below ``base``, and its kind; ``base`` itself if ``own``."""
    from mmengine.config import Config

    original = Config.fromfile(base, import_custom_modules=False)
    if "model" not in original:
        raise NotMaps("no model")
    if own:
        return original, "its own backbone"
    lines = lines_for(framework, original.model.to_dict())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "user.py"
        path.write_text(as_config(str(base), lines.changes))
        return Config.fromfile(path), lines.kind


def try_model(framework: str, config: Any, size: int, own: bool) -> str:
    """A step and a prediction; the loss, or an exception."""
    import torch
    from drop_in_batches import batch
    from mmengine.config import Config
    from mmengine.logging import MessageHub
    from mmengine.optim import OptimWrapper
    from mmengine.registry import init_default_scope

    from mmspec.models.backbones import ConvViT

    init_default_scope(framework)
    head = config.model.get("decode_head")
    if isinstance(head, dict):
        size = max(size, LEAST.get(head.type, 0))
    registry = importlib.import_module(f"{framework}.registry").MODELS
    importlib.import_module(f"{framework}.models")
    if isinstance(config.model.get("teacher_config"), str):
        teacher = config.model.teacher_config.removeprefix("configs/")
        config.model.teacher_config = Config.fromfile(config_folder(framework) / teacher)
    without_weights(config.model)
    with_fewer(config.model)
    preprocessor = config.get("data_preprocessor")
    config.model.setdefault("data_preprocessor", preprocessor)  # as a runner does
    without_padding(config.model, size)
    torch.manual_seed(0)
    model = registry.build(config.model)
    model.init_weights()
    model.train()
    for key, value in dict(iter=0, max_iters=1, epoch=0, max_epochs=1).items():
        MessageHub.get_current_instance().update_info(key, value)  # as a runner tells it
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-6))
    optimizer.zero_grad = lambda: None  # the gradients are looked at
    losses = model.train_step(batch(framework, config.to_dict(), size, True), optimizer)
    if not all(torch.isfinite(torch.as_tensor(v)).all() for v in losses.values()):
        raise ValueError(f"losses {losses}")
    if not own:
        # Of a teacher and a student, the one that learns.
        encoder = next(
            m
            for m in model.modules()
            if isinstance(m, ConvViT) and any(p.requires_grad for p in m.parameters())
        )
        idle = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
        if idle:
            raise ValueError(f"{len(idle)} tensors of the encoder have no gradient: {idle[:3]}")
    model.eval()
    with torch.no_grad():
        predictions = model.test_step(batch(framework, config.to_dict(), size, False))
    assert len(predictions) == 1
    return f"loss {float(losses['loss']):.3g}"


def without_weights(config: Any) -> None:
    """Take out whatever names a file of weights."""
    if isinstance(config, dict):
        for key in [k for k in config if k in ("pretrained", "teacher_ckpt")]:
            config[key] = None
        init = config.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            config.init_cfg = None
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, (dict, list)):
            without_weights(value)


def without_padding(config: Any, size: int) -> None:
    """Let no preprocessor pad the batches of a training beyond ``size``."""
    preprocessor = config.get("data_preprocessor") or {}
    if preprocessor.get("size"):  # mmseg's
        preprocessor.size = (size, size)
    if preprocessor.get("batch_augments"):  # mmdet's
        preprocessor.batch_augments = None
    for part in (config.get("detector"), preprocessor):  # of semi-supervised models
        if part:
            without_padding(part, size)


#: How many of what a config asks for are enough to go through its parts.
FEWER = dict(nms_pre=200, max_per_img=20, num_points=256, num_queries=20, num_proposals=20)


def with_fewer(config: Any) -> None:
    """Cut the numbers of proposals, sampled regions, points and queries."""
    if isinstance(config, dict):
        for key, most in FEWER.items():
            if isinstance(config.get(key), int):
                config[key] = min(config[key], most)
        if isinstance(config.get("sampler"), dict) and "num" in config.sampler:
            config.sampler.num = min(config.sampler.num, 16)
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, (dict, list, tuple)):
            with_fewer(value)


if __name__ == "__main__":
    main()
