"""How well masked patches are reconstructed."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmspec.registry import METRICS


@METRICS.register_module()
class ReconstructionMetric(BaseMetric):
    """Mean over images of the error on masked patches.

    Prints ``reconstruction/loss``, in the units of the training loss (normalised gray levels
    squared, of raw or per-patch normalised pixels as the model's head has it). It serves to compare
    checkpoints of one recipe on held-out images; it says nothing about other recipes or about
    fine-tuning.
    """

    default_prefix = "reconstruction"

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        self.results += [sample["reconstruction_loss"].item() for sample in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"loss": sum(results) / len(results)}
