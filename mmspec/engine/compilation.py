"""Compile what a training step spends its time in, and leave the rest of the step as it is."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmspec.models.input_check import BATCHES
from mmspec.registry import HOOKS

from .model_and_batch import bare_model

#: What is compiled of a model that does not say ``compiled_parts``, where it has them: modules, and
#: methods of heads, whose losses choose samples and are no graph. mmseg's call ``forward`` itself.
PARTS = (
    *("backbone", "neck", "decode_head.forward", "auxiliary_head.forward"),
    *("rpn_head.forward", "bbox_head.forward"),
)


def compile_parts(model: nn.Module, parts: Sequence[str] | None = None, **options) -> list[str]:
    """Compile parts of a model in place: names of state and checkpoints stay as they are.

    Args:
        model: of mmspec, mmpretrain, mmdet or mmseg.
        parts: dotted names of modules and methods; by default the model's ``compiled_parts``, else
            those of ``PARTS`` that it has.
        options: of :func:`torch.compile`.

    Returns:
        The names of what is compiled.

    Raises:
        AttributeError: a part that the model does not have.
    """
    for module in model.modules():
        # mmpretrain's are NumPy numbers, which a graph takes for tensors: it breaks at each.
        if hasattr(module, "drop_prob"):
            module.drop_prob = float(module.drop_prob)
    if parts is None:
        parts = getattr(model, "compiled_parts", None)
        parts = parts or [name for name in PARTS if _has(model, name)]
    for name in parts:
        owner, _, last = name.rpartition(".")
        owner = model.get_submodule(owner)
        part = getattr(owner, last)
        if isinstance(part, nn.Module):
            part.compile(**options)
        else:
            setattr(owner, last, torch.compile(part, **options))
    return list(parts)


def _has(model: nn.Module, name: str) -> bool:
    part = getattr(model, name.partition(".")[0], None)
    return isinstance(part, nn.Module) and not isinstance(part, nn.ModuleList)


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile the model's parts, see :func:`compile_parts`, after its first batches.

    mmengine's own ``compile = True`` wraps the whole ``train_step``, with the data preprocessor,
    the optimiser and what they log, and breaks at each; ``tools/train.py`` puts this hook in its
    place. The first batches run as they are, for the checks of input and strides, which a graph
    leaves out.

    Args:
        parts: see :func:`compile_parts`.
        options: of :func:`torch.compile`. ``mode='reduce-overhead'`` records CUDA graphs: for small
            batches of one size, whose kernels are shorter than their launches.
    """

    def __init__(self, parts: Sequence[str] | None = None, **options) -> None:
        self.parts = parts
        self.options = options

    def before_train(self, runner: Runner) -> None:
        self.first = runner.iter

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        if runner.iter == self.first + BATCHES:
            parts = compile_parts(bare_model(runner), self.parts, **self.options)
            runner.logger.info(
                f"compiled from here on: {', '.join(parts)}; the next steps take long"
            )
