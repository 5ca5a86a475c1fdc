"""Aligned pairs for the training and test of matching."""

import logging
from collections.abc import Sequence

from mmengine.logging import print_log

from mmspec.registry import DATASETS

from .files import Fault, without_suffix
from .rgbt_folder import RGBTFolder


@DATASETS.register_module()
class RoadSceneMatchingDataset(RGBTFolder):
    """RoadScene's aligned pairs (Xu et al., U2Fusion, TPAMI 2022), some left out by name.

    SuperFusion's registration set is made of RoadScene's pairs under other numbers: who tests on it
    must not train on them. The truth of a pair is made by ``ViewInfrared`` in the pipeline.

    Args:
        exclude: names of pairs of the list that are left out, logged with their number; a warning
            names those that the list does not have.
        data_root, infrared, visible, ann_file, kwargs: see :class:`RGBTFolder`.

    Raises:
        FileNotFoundError: see :class:`RGBTFolder`, or nothing is left.
    """

    def __init__(
        self,
        data_root: str,
        infrared: str = "cropinfrared",
        visible: str = "crop_LR_visible",
        ann_file: str = "",
        *,
        exclude: Sequence[str] = (),
        **kwargs,
    ) -> None:
        self.exclude = frozenset(exclude)
        super().__init__(data_root, infrared, visible, ann_file, **kwargs)

    def match_files(self) -> tuple[list[tuple[str, str]], list[Fault]]:
        pairs, faults = super().match_files()
        folder = self.data_prefix["infrared"].rstrip("/") + "/"

        def name(pair: tuple[str, str]) -> str:
            return without_suffix(pair[0].removeprefix(folder))

        kept = [pair for pair in pairs if name(pair) not in self.exclude]
        if pairs and not kept:
            raise FileNotFoundError(f"{self.ann_file or folder}: every pair is excluded")
        if self.exclude:
            left_out = sorted(name(pair) for pair in pairs if name(pair) in self.exclude)
            print_log(
                f"{len(left_out)} of {len(pairs)} pairs are left out: {', '.join(left_out)}",
                logger="current",
            )
        if absent := self.exclude - {name(pair) for pair in pairs}:
            print_log(
                f"{self.ann_file or folder} has no pair {', '.join(sorted(absent))} to leave out;"
                " does it have them under other names?",
                logger="current",
                level=logging.WARNING,
            )
        return kept, faults
