"""Runs of a model of two numbers, which take a moment."""

from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Line(BaseModel):
    """y = 2 x + 1, learnt by one linear layer; two parameters, so that they may be two groups."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, mode="loss"):
        error = (self.line(x) - 2 * x - 1).abs()
        return dict(loss=error.mean()) if mode == "loss" else list(error)


class Scores(BaseMetric):
    """Gives the scores it was told to, one a validation."""

    scores: tuple[float, ...] = (1.0,)

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results) -> dict:
        self.scores, first = self.scores[1:] or (0.0,), self.scores[0]
        return dict(acc=first)


def toy_run(
    work_dir: Path,
    *,
    schedule: list[dict],
    epochs: int | None = None,
    iters: int | None = None,
    checkpoint: dict | None = None,
    optimizer: dict | None = None,
    wrapper: dict | None = None,
    scores: tuple[float, ...] = (),
    hooks: dict | None = None,
    batch_size: int = 4,
    sampler: str | None = None,
    **arguments,
) -> Runner:
    """A runner with the hooks of ``configs/_base_/runtime.py``; 16 samples, batches of 4."""
    data = [dict(x=torch.tensor([i / 16.0])) for i in range(16)]
    by_epoch = epochs is not None
    length = dict(max_epochs=epochs) if by_epoch else dict(max_iters=iters)
    loader = dict(
        batch_size=batch_size,
        dataset=data,
        sampler=dict(
            type=sampler or ("DefaultSampler" if by_epoch else "InfiniteSampler"), shuffle=True
        ),
        collate_fn=dict(type="default_collate"),
    )
    if scores:
        metric = Scores()
        metric.scores = scores
        interval = 1 if by_epoch else 2
        length["val_interval"] = interval
        arguments |= dict(
            val_cfg=dict(),
            val_evaluator=Evaluator([metric]),
            val_dataloader={**loader, "sampler": dict(type="DefaultSampler", shuffle=False)},
        )
    toy_run.count = getattr(toy_run, "count", 0) + 1
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=by_epoch, **length),
        optim_wrapper=dict(
            type="OptimWrapper",
            optimizer=optimizer or dict(type="SGD", lr=0.1, momentum=0.9),
            paramwise_cfg=dict(bias_lr_mult=2.0),
            **(wrapper or {}),
        ),
        param_scheduler=schedule,
        default_hooks=dict(
            checkpoint={
                "type": "mmspec.DurableCheckpointHook",
                "interval": 1 if by_epoch else 2,
                "by_epoch": by_epoch,
                **(checkpoint or {}),
            },
            resume=dict(type="mmspec.ResumeHook"),
            schedule=dict(type="mmspec.ScheduleHook"),
            logger=dict(type="LoggerHook", interval=1),
            **(hooks or {}),
        ),
        log_processor=dict(by_epoch=by_epoch, window_size=1),
        randomness=dict(seed=0),
        default_scope="mmengine",
        experiment_name=f"toy-{id(data)}-{toy_run.count}",
        **arguments,
    )
