"""A probe as a whole: an encoder, a data set and a task."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import classification, segmentation
from .classification import probe_pooled
from .encoders import FrozenEncoder, ProbeError
from .features import compute_features
from .images import ClassifiedImages, LabelledImages
from .matching import MatchedPairs, probe_pairs
from .segmentation import probe_maps
from .small_targets import TargetImages, probe_small_targets


@dataclass(frozen=True)
class Task:
    """What a task reads, how large, and who may judge.

    Attributes:
        images: opens a split.
        size: in pixels, by default.
        judges: their names.
        by_features: judges features that were computed of images of one size; None: the task reads
            the images itself.
    """

    images: Callable[..., Any]
    size: int
    judges: tuple[str, ...]
    by_features: Callable[..., Iterator[dict]] | None = None


TASKS = dict(
    seg=Task(LabelledImages, 224, tuple(segmentation.JUDGES), probe_maps),
    cls=Task(ClassifiedImages, 224, classification.JUDGES, probe_pooled),
    points=Task(TargetImages, 128, ("head",)),
    match=Task(MatchedPairs, 256, ("mutual neighbours",)),
)


def probe(
    encoder: str | FrozenEncoder,
    dataset: str,
    data_root: str,
    task: str = "seg",
    *,
    arch: str | dict | None = None,
    maps: Sequence[str] | None = None,
    out: str | Path = "work_dirs/probe",
    size: int | None = None,
    splits: tuple[str, str] = ("train", "test"),
    num_images: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    shares: Sequence[float] = (1.0,),
    judges: Iterable[str] | None = None,
    rolled: bool | None = None,
    device: str = "cpu",
    **options,
) -> list[dict]:
    """Judge the frozen features of an encoder on a labelled data set.

    Every map of the encoder is judged by itself and all together (``all``).

    ==========  ===========================================  ====================================
    ``task``    data                                         judges
    ==========  ===========================================  ====================================
    'seg'       labels of pixels, or boxes, see              'neighbours', 'linear'; of each cell
                :class:`LabelledImages`
    'cls'       a class an image, see                        'neighbours', 'linear', 'attentive'
                :class:`ClassifiedImages`
    'points'    small targets, see :class:`TargetImages`     'head', light and trained in a minute
    'match'     aligned pairs, see :class:`MatchedPairs`     'mutual neighbours'; nothing is learnt
    ==========  ===========================================  ====================================

    Of 'seg' and 'cls' they judge again with positions that tell nothing (``rolled``, see
    :func:`~mmspec.probing.features.compute_features`). A seed draws the images (where not all are
    used), cells or crops to learn from, and the weights of ``'random'`` and of what is trained.

    Args:
        encoder: a checkpoint, the name of an encoder that mmspec ships, ``'random'``, ``'pixels'``
            or ``'positions'``.
        dataset, data_root: of the class that the task names, with its ``options``.
        task: see above.
        arch, maps: see :class:`FrozenEncoder`.
        out: folder whose ``features`` keeps what was computed.
        size: pixels to which images are brought, a side (224) or the width (pairs: 256), or a side
            of crops (small targets: 128); a multiple of the encoder's stride.
        splits: to learn from, and to judge on.
        num_images: at most so many of each split, evenly spaced.
        seeds: one result each.
        shares: of the images to learn from.
        judges: see above; None: all.
        rolled: judge without positions too; None: where the task can.
        device: of the encoder.

    Returns:
        A record for each encoder, map, judge, share, seed and ``rolled``. ``score`` names the
        number that counts ('mIoU', 'accuracy', 'IoU', 'MMA@10', in percent), ``counts`` has what it
        is made of, a row an image.

    Raises:
        ProbeError: what cannot be probed; the message says why.
    """
    if task not in TASKS:
        raise ProbeError(f"task {task!r}: {', '.join(TASKS)}")
    if not len(seeds) or (num_images is not None and num_images < 1):
        raise ProbeError(f"{len(seeds)} seeds, num_images={num_images}: at least one of each")
    kind = TASKS[task]
    judges = kind.judges if judges is None else tuple(judges)
    check_judges(judges, kind.judges)
    if rolled and kind.by_features is None:
        raise ProbeError(f"task {task!r} has no judgement without positions")
    if task == "match" and tuple(shares) != (1.0,):
        raise ProbeError("task 'match' learns from no images, of which there could be shares")
    learn, test = (
        kind.images(dataset, data_root, split, size or kind.size, num_images, **options)
        if learnt or task != "match"
        else None
        for learnt, split in enumerate(splits)
    )
    records, folder = [], Path(out) / "features"
    for seed in seeds:
        network = encoder
        if isinstance(encoder, str):
            network = FrozenEncoder(encoder, arch, seed, maps)
        # Cells of pixels move with the image: nothing to tell.
        both = kind.by_features and rolled is not False and network.name != "pixels"
        for roll in (False, True) if both else (False,):
            if kind.by_features:
                known, asked = (
                    compute_features(network, images, folder, roll, device)
                    for images in (learn, test)
                )
                found = kind.by_features(known, asked, seed, shares, judges)
            elif learn is None:
                found = probe_pairs(network.to(device), test)
            else:
                network.to(device)
                found = probe_small_targets(network, learn, test, folder, seed, shares, device)
            about = dict(encoder=network.name, task=task, seed=seed, rolled=roll, share=1.0)
            records += [about | record for record in found]
    return records


def check_judges(judges: Iterable[str], known: Iterable[str]) -> None:
    """Raise ProbeError for a judge that the task does not have."""
    for judge in judges:
        if judge not in known:
            raise ProbeError(f"judge {judge!r}: {', '.join(known)}")
