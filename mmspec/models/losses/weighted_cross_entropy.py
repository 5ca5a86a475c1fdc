"""Cross-entropy whose class weights know ignored pixels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmspec.conventions import IGNORE_INDEX
from mmspec.registry import MODELS


@MODELS.register_module()
class WeightedCrossEntropyLoss(nn.Module):
    """Softmax cross-entropy with a weight a class, for ``loss_decode`` of mmseg's heads.

    The sum over the pixels that count, each times the weight of its class, over the sum of those
    weights; 0 where none counts. mmseg's ``CrossEntropyLoss(class_weight=...)`` gives the same
    number, but in its 1.2.2 it looks up the weight of the ignored label, 255, and fails.

    ``loss_weight`` is a factor; ``loss_name``, the name in the log, has to begin with 'loss_' to be
    trained on.
    """

    def __init__(
        self, class_weight: Sequence[float], loss_weight: float = 1.0, loss_name: str = "loss_ce"
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.register_buffer("class_weight", torch.tensor(class_weight).float(), persistent=False)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = IGNORE_INDEX,
    ) -> Tensor:
        """The loss, a scalar, of logits (B, C, H, W) and targets (B, H, W), long.

        ``weight`` (B, H, W) is of pixels.
        """
        if pred.shape[1] != len(self.class_weight):
            raise ValueError(
                f"WeightedCrossEntropyLoss: {len(self.class_weight)} values in class_weight and"
                f" logits of {pred.shape[1]} classes"
            )
        losses = F.cross_entropy(
            pred.float(), target, self.class_weight, reduction="none", ignore_index=ignore_index
        )
        counted = target != ignore_index
        weights = self.class_weight[target.where(counted, 0)] * counted
        if weight is not None:
            losses = losses * weight
        total = weights.sum().clamp(min=torch.finfo(torch.float32).tiny)
        return self.loss_weight * losses.sum() / total
