"""A folder of infrared images without labels, for pre-training."""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log

from mmspec.datasets.image_io import UnreadableImageError
from mmspec.registry import DATASETS
from mmspec.text_files import each_once, read_names

from .repeatable import RepeatableSamplesMixin

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


@DATASETS.register_module()
class InfraredFolder(RepeatableSamplesMixin, BaseDataset):
    """Every image below a folder, or those that a list names.

    Only names are read at the start, no headers, so that 300,000 images on a network disk start in
    seconds; what a file holds shows when it is loaded. A sample is ``dict(img_path=...)`` through
    ``pipeline``.

    Args:
        data_root: Folder of the images, searched with its subfolders (links are followed, each
            folder once; hidden files and folders are left out).
        data_prefix: Subfolder of ``data_root`` that holds the images.
        ann_file: Text file, one image path a line relative to the folder of images, as
            ``tools/dataset_converters/prepare_corpus.py`` writes; then the folder is not searched.
            Needed where the images are on another storage backend than the local disk.
        skip_broken: False: an image that cannot be read raises. True: it is logged by name,
            counted, and another one is drawn; only in training (``test_mode=False``).
        backend_args: Of mmengine's file backend, to read ``ann_file``.
        metainfo, indices, serialize_data, pipeline, test_mode, lazy_init, max_refetch: As in
            ``mmengine.dataset.BaseDataset``.

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
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.skip_broken = skip_broken
        self.backend_args = backend_args
        self._broken: set[int] = set()
        self._broken_in_a_row = 0
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(img_path=data_prefix) if isinstance(data_prefix, str) else data_prefix,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

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
            if not self.skip_broken or self.test_mode:
                raise
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


def find_images(folder: str) -> list[str]:
    """Paths of the images below ``folder``, relative to it, with '/', sorted.

    Suffixes count in any case, hidden files and folders do not, links are followed and each folder
    is entered once. A link named as an image that leads nowhere, or to itself, is listed, so that
    loading names it.

    Raises:
        FileNotFoundError: No such local folder, or no image in it; says what else was found. Or a
            subfolder that cannot be read. Any other link that leads nowhere gives a warning, as
            there may be a folder of images missing behind it.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"no folder {folder!r}: check data_root and data_prefix (images on another storage"
            " backend than the local disk need an ann_file that lists them)"
        )
    images: list[str] = []
    others: Counter[str] = Counter()
    entered: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        below = pending.pop()
        path = os.path.join(folder, below)
        try:
            status = os.stat(path)
            with os.scandir(path) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            raise FileNotFoundError(
                f"the folder {path!r} cannot be read ({error.strerror}): make it readable, or move"
                f" it out of {folder!r}"
            ) from None
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        subfolders = []
        for entry in entries:
            relative = f"{below}/{entry.name}" if below else entry.name
            suffix = os.path.splitext(entry.name)[1].lower()
            if _is_folder(entry):
                subfolders.append(relative)
            elif suffix in IMAGE_SUFFIXES:
                images.append(relative)
            else:
                others[suffix or "no suffix"] += 1
                if entry.is_symlink() and not os.path.exists(entry.path):
                    warnings.warn(
                        f"{entry.path} is a link that leads nowhere or to itself: if it stands for"
                        " a folder of images, they are missing",
                        stacklevel=2,
                    )
        pending.extend(sorted(subfolders, reverse=True))
    if not images:
        found = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        raise FileNotFoundError(
            f"no images in {folder!r} or below: looked for {', '.join(IMAGE_SUFFIXES)}, found"
            f" {found or 'no other files either'}"
        )
    return sorted(images)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()  # of most entries without a call to the file system
    except OSError:  # a link to itself
        return False
