"""How well masked patches are reconstructed."""

import math
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmspec.registry import METRICS

from .samples import field_of, name_of


@METRICS.register_module()
class ReconstructionMetric(BaseMetric):
    """Mean over images of the error on masked patches.

    Prints ``reconstruction/loss``, in the units of the training loss (normalised gray levels
    squared, of raw or per-patch normalised pixels as the model's head has it). It serves to compare
    checkpoints of one recipe on held-out images; it says nothing about other recipes or about
    fine-tuning. Images have no labels, so that none can be absent.

    Raises:
        KeyError: a sample without an error.
        ValueError: an error that is not finite. The messages name the image.
    """

    default_prefix = "reconstruction"

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            loss = field_of(
                sample, "reconstruction_loss", "InfMAE and MSpecGene give it in their predict()"
            ).item()
            if not math.isfinite(loss):
                raise ValueError(
                    f"{name_of(sample)}: its reconstruction loss is {loss}; the model has diverged"
                    " or overflowed in half precision"
                )
            self.results.append(loss)

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"loss": sum(results) / len(results)}
