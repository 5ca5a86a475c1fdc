"""A probe across modalities: mutual nearest neighbours of the maps of an infrared-visible pair."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mmspec.datasets.repeatable import evenly_spaced
from mmspec.datasets.rgbt_folder import RGBTFolder
from mmspec.evaluation import MatchingMetric
from mmspec.matching import MatchingEncoder, estimate_homography, match_features
from mmspec.pairs import split_pair

from .encoders import FrozenEncoder, ProbeError, quiet
from .images import built_to_probe, data_set_class


class MatchedPairs:
    """Aligned pairs, the infrared image of each seen through a random homography, the same again.

    Args:
        dataset: name of a data set of pairs, ``'RoadSceneMatchingDataset'`` or ``'RGBTFolder'``.
        data_root: its folder.
        split: ``SPLIT.txt`` lists the pairs, where there is that file; else all count.
        size: width in pixels to which pairs are brought; heights are multiples of 32.
        num_images: at most so many pairs, evenly spaced; None: all.
        **options: of the data set.

    Raises:
        ProbeError: another data set.
    """

    def __init__(
        self,
        dataset: str,
        data_root: str,
        split: str,
        size: int,
        num_images: int | None = None,
        **options,
    ) -> None:
        kind = data_set_class(dataset)
        if not issubclass(kind, RGBTFolder):
            raise ProbeError(f"{dataset} is no data set of aligned pairs")
        listed = f"{split}.txt" if (Path(data_root) / f"{split}.txt").is_file() else ""
        steps = [
            dict(type="mmspec.LoadRGBTImageFromFile"),
            dict(type="mmspec.ScaleToWidth", width=size, multiple=32),
            dict(type="mmspec.ViewInfrared"),
        ]
        options = dict(data_root=data_root, ann_file=listed) | options
        self.dataset = built_to_probe(kind, steps, **options)
        self.indices = evenly_spaced(range(len(self.dataset)), num_images)


class _Maps(nn.Module):
    """A frozen encoder as :class:`MatchingEncoder` calls one."""

    def __init__(self, network: FrozenEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.network.maps(images)


def probe_pairs(network: FrozenEncoder, pairs: MatchedPairs) -> Iterator[dict]:
    """Judge each map, and all together where there are several, by mutual nearest neighbours.

    Yields:
        ``map``, ``judge``; the numbers of :class:`MatchingMetric`; ``counts``, the share of matches
        within 10 pixels and 1, for each pair, (pairs, 2) float64.
    """
    levels = {name: (index,) for index, name in enumerate(network.names)}
    if len(levels) > 1:
        levels["all"] = tuple(range(len(network.names)))
    metrics = {name: MatchingMetric() for name in levels}
    encoders = {name: MatchingEncoder(_Maps(network), which) for name, which in levels.items()}
    for index in pairs.indices:
        sample = pairs.dataset[index]
        infrared, visible = split_pair(sample["img"])
        for name, encoder in encoders.items():
            found = match_features(
                encoder(infrared), encoder(visible), infrared.shape, infrared.shape
            )
            scored = dict(
                img_path=sample["img_path"],
                img_shape=infrared.shape,
                infrared_points=found.infrared,
                visible_points=found.visible,
                homography=estimate_homography(found.infrared, found.visible),
                truth=sample["truth"],
            )
            metrics[name].process({}, [scored])
    for name, metric in metrics.items():
        counts = np.array([(accuracy[-1], 1.0) for accuracy, _, _ in metric.results])
        with quiet():
            numbers = metric.compute_metrics(metric.results)
        yield dict(
            map=name,
            judge="mutual neighbours",
            score="MMA@10",
            shown=("MMA@3", "MMA@10", "AUC@10", "matches"),
            counts=counts,
            **numbers,
        )
