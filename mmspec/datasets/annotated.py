"""What data sets with boxes and with labels share: options, splits, modalities, loading steps."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from mmengine.logging import print_log

from .modality import MODALITY_PATHS, check_depth, misreads, settle_scale
from .repeatable import RepeatableSamplesMixin
from .sizes import add_size_checks

#: Options of every data set. ``infrared_scale`` is for its loading step, arguments of
#: ``mmspec.thermal.scaling.Scaling``, and kept in checkpoints. The others are ``BaseDataset``'s.
PASSED_ON = (
    *("infrared_scale", "metainfo", "indices", "serialize_data", "pipeline"),
    *("test_mode", "lazy_init", "max_refetch"),
)


def check_options(dataset: object, options: Mapping) -> None:
    """Refuse options that a data set does not take, though a class it derives from might.

    Raises:
        TypeError: an argument that is not one of ``PASSED_ON``.
    """
    for name in options:
        if name not in PASSED_ON:
            raise TypeError(
                f"{type(dataset).__name__} got an unexpected argument {name!r}; beside its own it"
                f" takes {', '.join(PASSED_ON)}"
            )


class AnnotatedMixin(RepeatableSamplesMixin):
    """A split of a data set with infrared images, visible ones or aligned pairs.

    Stands before the framework's base class. A subclass says where files lie (``LAYOUT``) and what
    ``data_prefix`` may name (``ROLES``).
    """

    LAYOUT: ClassVar[dict[str, str]]
    ROLES: ClassVar[Iterable[str]]

    def __init__(
        self,
        data_root: str,
        split: str,
        modality: str,
        data_prefix: Mapping[str, str] | None,
        ann_file: str,
        *,
        lazy_init: bool = False,
        infrared_scale: Mapping | None = None,
        **options,
    ) -> None:
        self.split = split
        self.modality = modality
        for key in data_prefix or {}:
            self._check_choice("key of data_prefix", key, self.ROLES)
        folders = {**self.LAYOUT, **(data_prefix or {})}
        present = [name for name, roles in MODALITY_PATHS.items() if set(roles) <= set(folders)]
        self._check_choice("modality", modality, present)
        super().__init__(
            ann_file=ann_file.replace("{split}", split),
            data_root=data_root,
            data_prefix={k: v.replace("{split}", split) for k, v in folders.items()},
            lazy_init=True,
            **options,
        )
        self._settle_classes()
        for step in self.pipeline.transforms:
            self._check_step(step)
        self._metainfo.update(settle_scale(self.pipeline.transforms, infrared_scale))
        add_size_checks(self.pipeline.transforms)
        if not lazy_init:
            self.full_init()

    def _settle_classes(self) -> None:
        """Check the classes, and what depends on them, before anything is read."""

    def _check_step(self, step: Callable) -> None:
        """Raise ValueError for a step of the pipeline that would take other images."""
        if self._misreads(step):
            raise ValueError(
                f"{type(self).__name__}: {type(step).__name__} in the pipeline does not load what"
                f" modality={self.modality!r} means; use dict(type='mmspec.LoadRGBTImageFromFile')"
            )

    def _misreads(self, step: Callable) -> bool:
        return misreads(step, self.modality)

    def _check_depth(self, samples: Iterable[dict]) -> None:
        paths = [sample["img_path"] for sample in samples]
        check_depth(self.pipeline.transforms, paths, type(self).__name__)

    def _images(self, paths: Mapping[str, str]) -> dict:
        """Paths of the images of the modality, the first as ``img_path`` too."""
        images = {role: paths[role] for role in MODALITY_PATHS[self.modality]}
        return dict(img_path=next(iter(images.values())), **images, modality=self.modality)

    def _check_choice(self, what: str, choice: str, known: Iterable[str]) -> None:
        if choice not in known:
            raise ValueError(
                f"{type(self).__name__}: {what} {choice!r}; known: {', '.join(map(repr, known))}"
            )

    def _log(self, message: str, level: int = logging.INFO) -> None:
        print_log(f"{type(self).__name__}: {message}", logger="current", level=level)
