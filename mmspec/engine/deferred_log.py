"""Losses that are logged without a wait for the GPU in each iteration."""

import numpy as np
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmspec.registry import HOOKS

#: Values that nobody reads are brought to the host after so many.
MOST_WAITING = 1000


class DeferredHistory(HistoryBuffer):
    """A log buffer whose new values stay on their device until somebody reads it.

    Its copy, which a checkpoint holds, is one of mmengine's.
    """

    def __init__(self, values, counts, max_length: int = 1000000) -> None:
        self._waiting: list[Tensor] = []
        super().__init__(values, counts, max_length)

    def update(self, log_val: Tensor | float, count: int = 1) -> None:
        """Add a scalar tensor, which a log weighs by 1, or what mmengine's takes."""
        if not isinstance(log_val, Tensor):
            super().update(log_val, count)
            return
        self._waiting.append(log_val.detach().reshape(()))
        if len(self._waiting) == MOST_WAITING:
            self._fetch()

    @property
    def is_at_hand(self) -> bool:
        """Whether reading waits for no device."""
        return all(value.is_cpu for value in self._waiting)

    def _fetch(self) -> None:
        if self._waiting:
            # One copy to the host for all of them, though one or the other may be there.
            device = next((v.device for v in self._waiting if not v.is_cpu), "cpu")
            new = torch.stack([value.to(device) for value in self._waiting]).tolist()
            self._waiting = []
            self._values = np.append(self._values, new)[-self.max_length :]
            self._counts = np.append(self._counts, np.ones(len(new), int))[-self.max_length :]

    # By these names mmengine's buffer keeps and reads its values.
    @property
    def _log_history(self) -> np.ndarray:
        self._fetch()
        return self._values

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def _count_history(self) -> np.ndarray:
        self._fetch()
        return self._counts

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts

    def __deepcopy__(self, memo: dict) -> HistoryBuffer:
        # What a message hub gives to a checkpoint, which other programs read.
        return HistoryBuffer(*self.data, self.max_length)


def update_deferred(hub: MessageHub, name: str, value: Tensor | float) -> None:
    """``hub.update_scalar(name, value)`` that waits for no device, but for the first value."""
    if not isinstance(value, Tensor):
        hub.update_scalar(name, value)
        return
    scalars = hub.log_scalars
    if isinstance(scalars.get(name), DeferredHistory):
        scalars[name].update(value)
        return
    hub.update_scalar(name, value)
    scalars[name] = DeferredHistory(*scalars[name].data, scalars[name].max_length)


def is_at_hand(hub: MessageHub, name: str) -> bool:
    """Whether reading a log's values waits for no device."""
    return getattr(hub.get_scalar(name), "is_at_hand", True)


@HOOKS.register_module()
class DeferredLogHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook``, in whose place it stands, without its wait in each iteration.

    mmengine brings every loss to the host as it comes, and the norm of clipped gradients. Here they
    stay on the device until the logger, or another hook, reads them.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if isinstance(runner.optim_wrapper, OptimWrapper) and runner.optim_wrapper.clip_grad_kwargs:
            defer_norm(runner.optim_wrapper)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        for name, value in (outputs or {}).items():
            update_deferred(runner.message_hub, f"train/{name}", value)


def defer_norm(wrapper: OptimWrapper) -> None:
    """Have a wrapper log the norm of its gradients without a wait."""
    clip, name = wrapper.clip_func, f"train/{wrapper.grad_name}"

    def clip_and_defer(*args, **kwargs) -> None:
        norm = clip(*args, **kwargs)
        if norm is not None:
            update_deferred(wrapper.message_hub, name, norm)
        # Nothing is given back: mmengine would bring it to the host.

    wrapper.clip_func = clip_and_defer
