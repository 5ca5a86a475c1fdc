"""What the tests of fine-tuning configs do with each of them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from mmspec.engine import HeadClassesHook

REPO = Path(__file__).resolve().parent.parent
#: Settings that make a backbone small, and what becomes of the widths of its maps.
SMALL_ENCODERS = {
    "mmspec.ConvViT": (
        dict(
            arch=dict(embed_dims=(8, 16, 32), depths=(1, 1, 1), num_heads=2, mlp_ratios=(2, 2, 2))
        ),
        {256: 8, 384: 16, 768: 32, 48: 8, 96: 16, 224: 32},
    ),
    "mmspec.MaskedViT": (
        dict(arch=dict(embed_dims=32, num_layers=12, num_heads=2, feedforward_channels=32)),
        {768: 32},
    ),
    "mmspec.MaskedSwin": (
        dict(arch=dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 3, 4])),
        {96: 12, 192: 24, 384: 48, 768: 96},
    ),
}
SMALL_ENCODERS["MAEViT"] = SMALL_ENCODERS["mmspec.MaskedViT"]


def marked(names: list[str], *both: str) -> list:
    """Parameters of a test, of which the named ones run on both stacks of mm packages."""
    assert set(both) <= set(names)
    return [pytest.param(n, marks=pytest.mark.stack) if n in both else n for n in names]


def train(cfg: Config, model: torch.nn.Module) -> tuple[dict, dict]:
    """Two steps of training: the last losses by name and the last batch that the model saw."""
    model.train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    loader = Runner.build_dataloader(cfg.train_dataloader)
    run = SimpleNamespace(model=model, train_dataloader=loader, val_loop=None)
    HeadClassesHook().before_train(run)
    batches = iter(loader)
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for _ in range(2):
        batch = model.data_preprocessor(next(batches), True)
        loss, logs = model.parse_losses(model(**batch, mode="loss"))
        assert torch.isfinite(loss)
        loss.backward()
        # Distributed training then needs no find_unused_parameters.
        assert [n for n, p in learning.items() if p.grad is None] == []
        before = {n: p.detach().clone() for n, p in learning.items()}
        optim_wrapper.step()
        optim_wrapper.zero_grad()
        assert any(not torch.equal(p, before[n]) for n, p in learning.items())
    model.eval()
    return logs, batch


def evaluate(cfg: Config, model: torch.nn.Module) -> tuple[dict, list]:
    """Metrics of the config's test, and its predictions."""
    loader = Runner.build_dataloader(cfg.test_dataloader)
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    outputs = []
    for batch in loader:
        with torch.no_grad():
            outputs += model.test_step(batch)
        evaluator.process(outputs[-len(batch["inputs"]) :], batch)
    return evaluator.evaluate(len(loader.dataset)), outputs


def run_tool(name: str, *args: str | Path) -> None:
    """``tools/NAME.py`` in a process of its own, on the CPU."""
    done = subprocess.run(
        [sys.executable, REPO / "tools" / f"{name}.py", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPO), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
