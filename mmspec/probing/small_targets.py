"""A probe of small targets: a light head on frozen maps of crops, scored on whole images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor, nn

from mmspec.datasets.repeatable import evenly_spaced, isolated_random
from mmspec.datasets.transforms import TargetCrop
from mmspec.evaluation import SmallTargetMetric
from mmspec.registry import MODELS

from .encoders import FrozenEncoder, ProbeError, quiet
from .features import Features, compute_features, draw_images
from .images import LOAD_IMAGE, LOAD_LABELS, ProbedImages, built_to_probe, data_set_class

CROPS, STEPS, BATCH, RATE, WIDTH = 800, 400, 8, 3e-3, 32
_MULTIPLE = 32  # of the sides of tested images
#: As configs/irstd: nothing is clipped.
_SCALE = dict(percentiles=(0, 100), float32=True)
#: As of the small U-Net in configs/irstd (its README says what ten times did).
_LOSSES = [
    dict(type="mmspec.SoftIoULoss", over="batch"),
    dict(type="mmseg.CrossEntropyLoss", use_sigmoid=True, avg_non_ignore=True),
]


class TargetImages:
    """Images of small targets at their own size.

    Args:
        dataset: name of a data set of small targets, ``'SIRSTv2Dataset'``.
        data_root: its folder.
        split: its part.
        size: side in pixels of the crops to learn from.
        num_images: at most so many, evenly spaced; None: all.
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
        if tuple(getattr(kind, "METAINFO", {}).get("classes", ())) != ("background", "target"):
            raise ProbeError(f"{dataset} is no data set of small targets")
        self.options = dict(infrared_scale=_SCALE) | options
        where = dict(data_root=data_root, split=split)
        self.dataset = built_to_probe(kind, [LOAD_IMAGE, LOAD_LABELS], **where, **self.options)
        self.split, self.size, self.num_images = split, size, num_images
        self.indices = evenly_spaced(range(len(self.dataset)), num_images)

    def crops(self, share: float, seed: int) -> TargetCrops:
        """``CROPS`` crops, or one an image where there are more, of a share of the images."""
        return TargetCrops(self, share, seed)


class TargetCrops(ProbedImages):
    """Crops of :class:`TargetImages`, one in two around a target, the same for a seed."""

    finest = 4

    def __init__(self, images: TargetImages, share: float, seed: int) -> None:
        drawn = draw_images(len(images.indices), share, np.random.default_rng(seed))
        chosen = np.resize(np.sort(drawn), max(CROPS, len(drawn)))  # in turn
        indices = [images.indices[i] for i in chosen]
        self.seed, self.crop = seed, TargetCrop(images.size)
        options = images.options | dict(seed=seed)
        super().__init__(images.dataset, images.split, images.size, None, options, indices)

    def sample(self, number: int) -> tuple[str, np.ndarray, np.ndarray]:
        sample = self.dataset[self.indices[number]]
        with isolated_random(self.seed, number):
            sample = self.crop(sample)
        return sample["img_path"], sample["img"], sample["gt_seg_map"]


def probe_small_targets(
    network: FrozenEncoder,
    learn: TargetImages,
    test: TargetImages,
    folder: str,
    seed: int = 0,
    shares: Sequence[float] = (1.0,),
    device: str = "cpu",
) -> Iterator[dict]:
    """Judge each map, and all together where there are several, by a ``SmallTargetHead``.

    Yields:
        ``map``, ``judge``, ``share``; the numbers of :class:`SmallTargetMetric`; ``counts``, pixels
        of both, predicted and true in each image, (images, 3) int64.

    Raises:
        ProbeError: a share without an image, or no target in the crops to learn from.
    """
    for share in shares:
        known = compute_features(network, learn.crops(share, seed), folder, device=device)
        if not (known.labels == 1).any():
            raise ProbeError(
                f"no target in {len(known.labels)} crops of {learn.split!r},"
                f" {known.image_names[0]} the first: nothing to train a head with"
            )
        heads = {name: train_head(known, name, seed, device) for name in known.names}
        metrics = {name: SmallTargetMetric() for name in heads}
        for index in test.indices:
            sample = test.dataset[index]
            zero = float(np.mean(network.mean_std[0]))  # to the network
            maps = network(_padded(sample["img"], zero).to(device))
            for name, head in heads.items():
                levels = list(maps.values()) if name == "all" else [maps[name]]
                metrics[name].process({}, [_scored(head, levels, sample)])
        for name, metric in metrics.items():
            counts = np.stack([np.frombuffer(one, np.int64)[:3] for one, *_ in metric.results])
            with quiet():
                found = metric.compute_metrics(metric.results)
            yield dict(
                map=name,
                judge="head",
                share=share,
                score="IoU",
                shown=("IoU", "nIoU", "Pd", "Fa"),
                counts=counts,
                **found,
            )


def train_head(features: Features, name: str, seed: int, device: str = "cpu") -> nn.Module:
    """A ``SmallTargetHead`` on the maps behind a name, after ``STEPS`` batches of crops."""
    from mmseg.structures import SegDataSample

    draws = np.random.default_rng(seed)
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        head = MODELS.build(
            dict(
                type="mmspec.SmallTargetHead",
                in_channels=[level.shape[1] for level in features.levels(name, slice(0, 1))],
                channels=WIDTH,
                norm_cfg=dict(type="BN"),
                align_corners=False,
                loss_decode=_LOSSES,
            )
        )
        head.init_weights()
    head.to(device).train()
    optimizer = torch.optim.AdamW(head.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    for _ in range(STEPS):
        part = np.sort(draws.permutation(len(features.labels))[:BATCH])
        levels = [level.to(device) for level in features.levels(name, part)]
        labels = torch.from_numpy(features.labels[part].astype(np.int64)).to(device)
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
        losses = head.loss(levels, samples, {})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    return head.eval().requires_grad_(False)


def _padded(image: np.ndarray, level: float) -> Tensor:
    """(1, 1, H, W), filled up on the right and below by a gray level."""
    height, width = (-side % _MULTIPLE for side in image.shape)
    return F.pad(torch.from_numpy(image)[None, None].float(), (0, width, 0, height), value=level)


def _scored(head: nn.Module, levels: list[Tensor], sample: dict) -> dict:
    height, width = sample["img"].shape
    size = [side + -side % _MULTIPLE for side in (height, width)]
    logits = F.interpolate(head(levels), size, mode="bilinear")[0, :, :height, :width]
    truth = torch.from_numpy(sample["gt_seg_map"].astype(np.int64))[None]
    return dict(
        img_path=sample["img_path"],
        seg_logits=dict(data=logits.sigmoid()),
        gt_sem_seg=dict(data=truth),
    )
