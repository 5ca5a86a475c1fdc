"""A folder of infrared images without labels, for pre-training."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from mmengine.dataset import BaseDataset, force_full_init
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs

from mmspec.datasets.image_io import UnreadableImageError
from mmspec.registry import DATASETS
from mmspec.text_files import each_once, read_names
from mmspec.thermal.recordings import RECORDINGS, open_recording

from .annotated import check_options
from .files import ALL_SUFFIXES, IMAGE_SUFFIXES, by_suffix, walk_images
from .modality import check_depth, sample_of, settle_scale
from .name_index import NameIndex, found_once
from .repeatable import RepeatableSamplesMixin


@DATASETS.register_module()
class InfraredFolder(RepeatableSamplesMixin, BaseDataset):
    """Every image and frame of a recording below a folder, or those that a list names.

    Only names are read at the start, no headers, so that 300,000 images on a network disk start in
    seconds; what a file holds shows when it is loaded. Of recordings (SEQ, CSQ, video, .npy, .npz)
    the frames are counted, not decoded. A sample is ``dict(img_path=...)`` through ``pipeline``,
    that of a frame ``clip.seq#12``. Of several processes the first looks for the files and tells
    the others, so that all have to build the data set.

    Args:
        data_root: folder of the images, searched with its subfolders (links are followed, each
            folder once; hidden files and folders are left out).
        data_prefix: subfolder of ``data_root`` that holds the images.
        ann_file: text file, one image path a line relative to the folder of images, as
            ``tools/dataset_converters/prepare_corpus.py`` writes; then the folder is not searched.
            Needed where the images are on another storage backend than the local disk, which
            recordings cannot be.
        frame_step: sample every n-th frame of recordings, and of TIFFs with several pages, each of
            which is opened at the start for it. None: every frame, and the first page of TIFFs; 0:
            no recordings, neither found nor listed, but .npy and .npz of one image.
        skip_broken: False: an image that cannot be read raises. True: it is logged by name,
            counted, and another one is drawn; only in training (``test_mode=False``). A recording
            whose frames cannot be counted is left out.
        backend_args: of mmengine's file backend, to read ``ann_file``.
        **options: as in ``mmengine.dataset.BaseDataset``: ``pipeline``, ``test_mode``, ``indices``,
            ``lazy_init``, ``max_refetch``, ``metainfo``, ``serialize_data`` (names are kept as
            bytes either way); and ``infrared_scale``, arguments of
            :class:`~mmspec.thermal.scaling.Scaling`.

    Raises:
        FileNotFoundError: No folder, no images in it, or an empty list.
        RanksDifferError: Processes of one run do not see the same files.
        ValueError: Images of more than 8 bits for mmcv's loader, which would cut them.
        UnreadableImageError: On loading, see ``skip_broken``; with ``skip_broken=True`` when all
            images, or ``max_refetch`` draws in a row, turn out broken.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str | dict = "",
        ann_file: str = "",
        *,
        frame_step: int | None = None,
        skip_broken: bool = False,
        backend_args: dict | None = None,
        **options,
    ) -> None:
        check_options(self, options)
        if frame_step is not None and frame_step < 0:
            raise ValueError(f"frame_step={frame_step}: every n-th frame, or 0 for none")
        self.frame_step = frame_step
        self.skip_broken = skip_broken
        self.backend_args = backend_args
        self._left_out = ""  # for the log
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

    def full_init(self) -> None:
        """Find the files, in the first process of a run for all."""
        if self._fully_initialized:
            return
        self.serialize_data = True
        index = found_once(lambda: NameIndex.of(self.find_samples()), self._path)
        self.data_bytes, self.data_address = index.data, index.ends
        self._fully_initialized = True
        images = (self.get_data_info(i)["img_path"] for i in range(len(index)))
        check_depth(self.pipeline.transforms, images, type(self).__name__)
        if self._indices is not None:
            self.get_subset_(self._indices)

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        idx = range(len(self))[idx]
        names = NameIndex(self.data_bytes, self.data_address)[idx]
        return dict(**sample_of([self._path(name) for name in names]), sample_idx=idx)

    def load_data_list(self) -> list[dict]:
        """All samples, where a list of them is wanted."""
        return [sample_of([self._path(name) for name in names]) for names in self.find_samples()]

    def _path(self, name: str) -> str:
        """Of a name that :meth:`find_samples` gives."""
        return name if is_abs(name) else join_path(self.data_prefix["img_path"], name)

    def find_samples(self) -> Iterator[tuple[str, ...]]:
        """Names of each sample's files, absolute or below the folder of images."""
        folder = self.data_prefix["img_path"]
        if self.ann_file:
            paths = each_once(read_names(self.ann_file, self.backend_args), self.ann_file)
            if not paths:
                raise FileNotFoundError(f"{self.ann_file}: an empty list of images")
            where = f"listed in {self.ann_file}"
        else:
            paths, where = self.find(folder), f"in {folder} and below"
        num_images = num_frames = 0
        for path in paths:
            if (length := self.count_frames(path, folder)) is None:
                num_images += 1
                yield (path,)
            else:
                for index in range(0, length, self.frame_step or 1):
                    num_frames += 1
                    yield (f"{path}#{index}",)
        if not num_images + num_frames:
            reason = f"each recording there is broken or left out{self._left_out}"
            raise FileNotFoundError(f"no images {where}: {reason}")
        of_recordings = f" and {num_frames:,} frames of recordings" if num_frames else ""
        print_log(f"{num_images:,} images{of_recordings} {where}{self._left_out}", logger="current")

    def find(self, folder: str) -> Iterator[str]:
        """Paths of images and recordings below a folder; what else there is goes into the log."""
        left_out: Counter[str] = Counter()
        arrays = (".npy", ".npz")
        suffixes = (*IMAGE_SUFFIXES, *arrays) if self.frame_step == 0 else ALL_SUFFIXES
        for path in walk_images(folder, suffixes, left_out):
            suffix = os.path.splitext(path)[1].lower()
            if self.frame_step == 0 and suffix in arrays:
                with suppress(UnreadableImageError):  # which counting its frames raises again
                    if open_recording(join_path(folder, path)) is not None:
                        left_out[suffix] += 1
                        continue
            yield path
        if left_out:
            self._left_out += f"; left out in {folder} and below: {by_suffix(left_out)}"
            if self.frame_step == 0 and not left_out.keys().isdisjoint(RECORDINGS):
                self._left_out += " (frame_step=1 samples the frames of recordings)"
            self._left_out += f"; read are {', '.join(ALL_SUFFIXES)}: convert what should be"

    def count_frames(self, path: str, folder: str = "") -> int | None:
        """How many frames a recording has; None of a still image, 0 of one that is skipped.

        Raises:
            UnreadableImageError: they cannot be counted, unless such recordings are skipped.
            ValueError: a recording, and ``frame_step=0``.
        """
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in RECORDINGS or (suffix in IMAGE_SUFFIXES and not self.frame_step):
            return None
        try:
            recording = open_recording(join_path(folder, path) if folder else path)
        except UnreadableImageError as error:
            self.leave_out(error)
            return 0
        if recording is None:
            return None
        if self.frame_step == 0:
            raise ValueError(f"{path}: a recording, for which frame_step=1 asks; 0 allows none")
        return len(recording)

    def leave_out(self, error: UnreadableImageError) -> None:
        """Log a broken recording, or raise."""
        if self.test_mode or not self.skip_broken:
            raise error
        print_log(f"Left out, broken recording: {error}", "current", logging.WARNING)

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
