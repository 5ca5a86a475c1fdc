"""Muon: steps of hidden matrices that are nearly orthogonal, beside AdamW for all other weights."""

from collections.abc import Callable, Iterable

import torch
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import Tensor, nn

from mmspec.checkpoints.safe_load import CheckpointError
from mmspec.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS

from .precision import AdamW

# Of the quintic iteration, chosen by Muon's author for the steepest rise from 0: five steps bring
# singular values into 0.7 to 1.2, not to 1.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# Linear layers that predict the targets of a pre-training, as decoders here and in mmpretrain call
# them. Muon is for what lies between the first layer and the last.
_PREDICTORS = ("pred", "decoder_pred")


@OPTIMIZERS.register_module()
class Muon(AdamW):
    """Muon in the parameter groups that say ``muon=True``, AdamW in the others.

    A matrix moves along its momentum after :func:`orthogonalized`, by 0.2 times the root of its
    longer side: the length of AdamW's steps, so that one rate and one weight decay serve both
    (Muon: K. Jordan et al., 2024, kellerjordan.github.io/posts/muon; the length: arXiv 2502.16982,
    equation 4). PyTorch's own class takes nothing but matrices, and is not in its older releases.

    ``optim_wrapper=dict(constructor='mmspec.MuonOptimWrapperConstructor',
    optimizer=dict(type='mmspec.Muon', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05))``

    Args:
        params: as of :class:`AdamW`; a group with ``muon=True`` holds matrices alone.
        momentum: of the matrices, in [0, 1), by Nesterov's rule.
        kwargs: of :class:`AdamW`.

    Raises:
        ValueError: no matrices to serve, or a group of them that holds something else.
        CheckpointError: a state of other groups is loaded.
    """

    def __init__(self, params: Iterable[Tensor | dict], momentum: float = 0.95, **kwargs) -> None:
        # The fused kernel would take over from the gradient scaler, for its own groups alone.
        super().__init__(params, **{"fused": False, **kwargs})
        self.momentum = momentum
        matrices = [p for group in self.param_groups if group.get("muon") for p in group["params"]]
        if not matrices or any(matrix.ndim != 2 for matrix in matrices):
            raise ValueError(
                "Muon is for matrices, in groups with muon=True; "
                "optim_wrapper.constructor='mmspec.MuonOptimWrapperConstructor' finds them"
            )

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if not group.get("muon")]
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group.get("muon"):
                self._step(group)
        return loss

    def _step(self, group: dict) -> None:
        for matrix in group["params"]:
            if matrix.grad is None:
                continue
            state = self.state[matrix]
            if not state:  # AdamW, which loads it, asks for the step
                state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(matrix))
            state["step"] += 1
            state["momentum"].lerp_(matrix.grad, 1 - self.momentum)
            ahead = matrix.grad.lerp(state["momentum"], self.momentum)
            length = 0.2 * max(matrix.shape) ** 0.5
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(orthogonalized(ahead), alpha=-group["lr"] * length)

    def load_state_dict(self, state_dict: dict) -> None:
        """Take the state of a Muon of the same groups: one of AdamW has no momenta."""
        ours, theirs = (
            [bool(group.get("muon")) for group in groups]
            for groups in (self.param_groups, state_dict["param_groups"])
        )
        if ours != theirs:
            raise CheckpointError(
                f"the optimizer's state is of {sum(theirs)} groups of Muon's, and this run has "
                f"{sum(ours)}: resume with the optimizer and the model that it is of"
            )
        super().load_state_dict(state_dict)


def orthogonalized(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1, by five Newton-Schulz steps.

    Args:
        matrix: (rows, columns).

    Returns:
        Of its shape, device and dtype; computed in bfloat16 on a GPU.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide.bfloat16() if wide.is_cuda else wide
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide is matrix else x.T).to(matrix.dtype)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MuonOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Give the weights of linear layers to :class:`Muon`, but not of the one that predicts.

    The log says how many. Convolutions, norms, biases, tokens and positions stay AdamW's.
    ``paramwise_cfg`` is that of mmengine's constructor.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        # Without any key mmengine would ask for no groups.
        self.paramwise_cfg = {"bypass_duplicate": False, **self.paramwise_cfg}
        wrapper = super().__call__(model)
        counts = {True: 0, False: 0}
        for group in wrapper.optimizer.param_groups:
            counts[bool(group.get("muon"))] += sum(p.numel() for p in group["params"])
        print_log(f"Weights by Muon: {counts[True]:,}; by AdamW: {counts[False]:,}", "current")
        return wrapper

    def add_params(self, params: list, module: nn.Module, prefix: str = "", **kwargs) -> None:
        start = len(params)
        super().add_params(params, module, prefix, **kwargs)
        if isinstance(module, nn.Linear) and prefix.rpartition(".")[2] not in _PREDICTORS:
            for group in params[start:]:
                if group["params"][0] is module.weight:
                    group["muon"] = True
