"""What hooks take from a runner."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmspec.datasets.repeatable import evenly_spaced, isolated_random


def bare_model(runner: Runner) -> nn.Module:
    """The model without what wraps it for distributed training or for tests of several views."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def warn_without_epochs(hook: Hook, runner: Runner) -> None:
    """Warn that a hook whose ``interval`` counts epochs acts at the end alone, where none end."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        runner.logger.warning(
            f"{type(hook).__name__}: interval={hook.interval} counts epochs, and this run counts "
            "iterations, so that it acts once, at the end; train_cfg = dict(by_epoch=True, "
            "max_epochs=...) has epochs"
        )


def fixed_batch(runner: Runner, count: int) -> dict:
    """Evenly spaced samples of the training set, at most so many, by its pipeline and collated.

    The same crops whenever a run starts or is resumed, and no random number taken from the run.
    """
    loader = runner.train_dataloader
    indices = evenly_spaced(range(len(loader.dataset)), count)
    with isolated_random(runner.seed):
        return loader.collate_fn([loader.dataset[i] for i in indices])
