"""A folder of infrared images without labels, for pre-training."""

import logging
import os

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log

from mmspec.datasets.image_io import UnreadableImageError
from mmspec.registry import DATASETS
from mmspec.text_files import each_once, read_names

from .annotated import check_options
from .files import find_images
from .modality import settle_scale
from .repeatable import RepeatableSamplesMixin


@DATASETS.register_module()
class InfraredFolder(RepeatableSamplesMixin, BaseDataset):
    """Every image below a folder, or those that a list names.

    Only names are read at the start, no headers, so that 300,000 images on a network disk start in
    seconds; what a file holds shows when it is loaded. A sample is ``dict(img_path=...)`` through
    ``pipeline``.

    Args:
        data_root: folder of the images, searched with its subfolders (links are followed, each
            folder once; hidden files and folders are left out).
        data_prefix: subfolder of ``data_root`` that holds the images.
        ann_file: text file, one image path a line relative to the folder of images, as
            ``tools/dataset_converters/prepare_corpus.py`` writes; then the folder is not searched.
            Needed where the images are on another storage backend than the local disk.
        skip_broken: False: an image that cannot be read raises. True: it is logged by name,
            counted, and another one is drawn; only in training (``test_mode=False``).
        backend_args: of mmengine's file backend, to read ``ann_file``.
        **options: as in ``mmengine.dataset.BaseDataset``: ``pipeline``, ``test_mode``, ``indices``,
            ``lazy_init``, ``serialize_data``, ``max_refetch``, ``metainfo``; and
            ``infrared_scale``, arguments of :class:`~mmspec.thermal.scaling.Scaling`.

    Raises:
        FileNotFoundError: No folder, no images in it, or an empty list.
        UnreadableImageError: On loading, see ``skip_broken``; with ``skip_broken=True`` when all
            images, or ``max_refetch`` draws in a row, turn out broken.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str | dict = "",
        ann_file: str = "",
        *,
        skip_broken: bool = False,
        backend_args: dict | None = None,
        **options,
    ) -> None:
        check_options(self, options)
        self.skip_broken = skip_broken
        self.backend_args = backend_args
        self._broken: set[int] = set()
        self._broken_in_a_row = 0
        infrared_scale = options.pop("infrared_scale", None)
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=dict(img_path=data_prefix) if isinstance(data_prefix, str) else data_prefix,
            **options,
        )
        self._metainfo.update(settle_scale(self.pipeline.transforms, infrared_scale))

    def load_data_list(self) -> list[dict]:
        folder = self.data_prefix["img_path"]
        if not self.ann_file:
            images = [dict(img_path=os.path.join(folder, path)) for path in find_images(folder)]
            print_log(f"{len(images):,} images in {folder} and below", logger="current")
            return images
        paths = each_once(read_names(self.ann_file, self.backend_args), self.ann_file)
        images = [dict(img_path=join_path(folder, path)) for path in paths]
        if not images:
            raise FileNotFoundError(f"{self.ann_file}: an empty list of images")
        print_log(f"{len(images):,} images listed in {self.ann_file}", logger="current")
        return images

    def prepare_data(self, idx: int) -> dict | None:
        """The sample ``idx`` after the pipeline; None if it is broken and may be skipped."""
        try:
            data = super().prepare_data(idx)
        except UnreadableImageError as error:
            if self.test_mode:
                raise
            if not self.skip_broken:
                raise UnreadableImageError(
                    f"{error}. Replace or remove the file, or have such files skipped and counted"
                    f" with {type(self).__name__}(skip_broken=True)",
                    error.reason,
                ) from None
            self._note_broken(idx, error)
            return None
        self._broken_in_a_row = 0
        return data

    def _note_broken(self, idx: int, error: UnreadableImageError) -> None:
        self._broken_in_a_row += 1
        if idx not in self._broken:
            self._broken.add(idx)
            print_log(
                f"Skipped, broken image {len(self._broken)} of {len(self)}: {error}",
                logger="current",
                level=logging.WARNING,
            )
        if len(self._broken) == len(self) or self._broken_in_a_row > self.max_refetch:
            raise UnreadableImageError(
                f"{len(self._broken)} of the {len(self)} images under"
                f" {self.data_prefix['img_path']} turned out broken, the last"
                f" {self._broken_in_a_row} draws all were; the log names them with the reasons."
            ) from error
