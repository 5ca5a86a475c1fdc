"""A corpus in one memory-mapped set of files, as ``pack_corpus.py`` writes it, for pre-training.

===============  ==============================================================================
``header.json``  format, version, kind, short side, scale, counts; size and hash of the others
``index.npy``    a record an image (``RECORD``): shard, offset, size, types, hash of its pixels
``names.txt``    a line an image, UTF-8: its name, or infrared, a tab, visible
``shard-*.bin``  pixels as they are, row by row; of a pair infrared first, visible behind it
===============  ==============================================================================
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init

from mmspec.registry import DATASETS
from mmspec.thermal.errors import FileError
from mmspec.thermal.scaling import Scaling

from .annotated import check_options
from .modality import sample_of, settle_scale
from .repeatable import RepeatableSamplesMixin

FORMAT, VERSION = "mmspec packed corpus", 1
#: Bands of each kind; visible ones are blue first, as arrays in memory are everywhere here.
BANDS = {"infrared": ("infrared",), "pairs": ("infrared", "blue", "green", "red")}
RECORD = np.dtype(
    [
        ("offset", "<u8"),  # bytes into the shard
        ("name", "<u8"),  # bytes into names.txt
        ("shard", "<u4"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("source_height", "<u4"),
        ("source_width", "<u4"),
        ("dtype", "S3"),  # '|u1', '<u2' or '<f4', of the infrared image
        ("source_dtype", "S3"),
        ("hash", "V16"),  # BLAKE2b of the pixels
    ]
)
_TOOL = "tools/dataset_converters/pack_corpus.py"


class PackedSetError(FileError):
    """A packed set that cannot be used; the message names the file and the way out."""


class PackedSet:
    """The images of a packed set. Each process maps its files when it first reads of them.

    Args:
        folder: of the set.
        kind: 'infrared' or 'pairs'; what the set has to be.

    Raises:
        FileNotFoundError: no such set.
        PackedSetError: of another format, version or kind, or not whole.
    """

    def __init__(self, folder: str | os.PathLike, kind: str | None = None) -> None:
        self.folder, self.kind = Path(folder), kind
        self.header = read_header(self.folder)
        if kind not in (None, self.header["kind"]):
            held, reader = {
                "infrared": ("infrared images alone", "mmspec.PackedInfrared"),
                "pairs": ("pairs", "mmspec.PackedRGBT"),
            }[self.header["kind"]]
            reason = f"a packed set of {held}: read it by type={reader!r}"
            raise PackedSetError.of(self.folder, reason)
        self._check(["index", "names"])
        self._shards: dict[int, mmap.mmap] = {}

    def __reduce__(self) -> tuple:
        return type(self), (self.folder, self.kind)

    def __deepcopy__(self, memo: dict) -> PackedSet:
        return self

    def __len__(self) -> int:
        return self.header["images"]

    @cached_property
    def index(self) -> np.ndarray:
        """(len,) ``RECORD``, memory-mapped."""
        path = self.folder / self.header["index"]["file"]
        try:
            index = np.load(path, mmap_mode="r")
        except ValueError as error:
            reason = f"not an index ({error}): copy it again, or pack anew"
            raise PackedSetError.of(path, reason) from None
        if index.dtype != RECORD or len(index) != len(self):
            reason = f"{len(index):,} records {index.dtype}, not {len(self):,} of this version's"
            raise PackedSetError.of(path, f"{reason}: pack the corpus anew")
        return index.view(np.ndarray)

    @cached_property
    def _names(self) -> mmap.mmap:
        return _mapped(self.folder / self.header["names"]["file"])

    def check_shards(self, shards: Iterable[int] | None = None) -> None:
        """Compare the sizes of shards, by default of all, with what the header says.

        Raises:
            PackedSetError: one is absent, cut or of another size; it is named.
        """
        numbers = range(len(self.header["shards"])) if shards is None else shards
        self._check(self.header["shards"][number] for number in numbers)

    def _check(self, files: Iterable[str | dict]) -> None:
        for entry in files:
            entry = self.header[entry] if isinstance(entry, str) else entry
            path, size = self.folder / entry["file"], entry["bytes"]
            if not path.is_file():
                raise PackedSetError.of(
                    path, "this file of the packed set is missing: copy it here, or pack anew"
                )
            if path.stat().st_size != size:
                raise PackedSetError.of(
                    path,
                    f"{path.stat().st_size:,} bytes, {size:,} by header.json: cut off or another"
                    " file; copy it again, or pack anew",
                )

    def names(self, row: int) -> list[str]:
        """The image's name, or those of the infrared and the visible one."""
        start = int(self.index["name"][row])
        return self._names[start : self._names.find(b"\n", start)].decode().split("\t")

    def pixels(self, row: int) -> list[np.ndarray]:
        """Arrays of their own: infrared (H, W) uint8, uint16 or float32; visible (H, W, 3)."""
        offset, _, shard, height, width, _, _, dtype, *_ = self.index[row].item()
        if shard not in self._shards:
            self._shards[shard] = _mapped(self.folder / self.header["shards"][shard]["file"])
        arrays, pixels = [], height * width
        for kind, channels in ((dtype.decode(), 1), ("|u1", 3))[: 1 + (len(self.bands) > 1)]:
            stored = np.frombuffer(self._shards[shard], kind, pixels * channels, offset)
            arrays.append(stored.reshape((height, width, channels)[: 2 + (channels > 1)]).copy())
            offset += stored.nbytes
        return arrays

    @property
    def bands(self) -> Sequence[str]:
        return BANDS[self.header["kind"]]

    def faults(self, file: dict) -> list[str]:
        """What the content of one of the header's files has that its hash does not allow."""
        path = self.folder / file["file"]
        if hashlib.sha256(_mapped(path)).hexdigest() == file["sha256"]:
            return []
        faults = [f"{path}: its SHA-256 is not that of header.json: copy it again, or pack anew"]
        if file in self.header["shards"]:
            for row in np.flatnonzero(self.index["shard"] == self.header["shards"].index(file)):
                if pixel_hash(self.pixels(row)) != self.index["hash"][row].tobytes():
                    faults.append(f"  {', '.join(self.names(row))}: other pixels than were packed")
        return faults


def read_header(folder: Path) -> dict:
    """The header of a packed set, of a version that can be read.

    Raises:
        FileNotFoundError: no packed set, or one that is not finished.
        PackedSetError: another format or version.
    """
    path = folder / "header.json"
    if not path.is_file():
        unfinished = (folder / "packing.json").is_file()
        way = "is not finished: give the command that packed it again" if unfinished else (
            f"is none (no header.json): {_TOOL} makes one of a folder, list or pairs"
        )  # fmt: skip
        raise FileNotFoundError(f"the packed set {str(folder)!r} {way}")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PackedSetError.of(path, f"not JSON ({error}): copy it again, or pack anew") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise PackedSetError.of(path, f"not the header of a {FORMAT}; {_TOOL} writes one")
    if header.get("version") != VERSION:
        raise PackedSetError.of(
            path,
            f"version {header.get('version')} of the format, this mmspec reads {VERSION}: pack the"
            " corpus anew, or use the mmspec that packed it",
        )
    return header


def pixel_hash(arrays: Iterable[np.ndarray]) -> bytes:
    """16 bytes that tell the pixels of an image or a pair from others."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.digest()


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@DATASETS.register_module()
class PackedInfrared(RepeatableSamplesMixin, BaseDataset):
    """The infrared images of a packed set, for the same pipelines as ``InfraredFolder``.

    Nothing is listed or held in memory: the index is a file that all processes of a machine map.
    A sample is ``dict(img_path=..., frames={img_path: pixels})``; loading steps take ``frames`` in
    the file's place, and ``infrared_scale`` acts as on files.

    Args:
        data_root: folder of the set, as ``tools/dataset_converters/pack_corpus.py`` writes it.
        part: (k, n): the shards k, k + n, k + 2 n, ... alone, for n nodes that each hold a part
            (k from 0). All parts are cut to the length of the shortest.
        **options: as in ``InfraredFolder``, without ``data_prefix``, lists, ``frame_step`` and
            ``skip_broken``, which were settled when the set was packed.

    Raises:
        FileNotFoundError: no such set.
        PackedSetError: of another version or kind, not whole, or packed by another scale than
            ``infrared_scale`` asks for.
    """

    KIND = "infrared"

    def __init__(self, data_root: str, *, part: tuple[int, int] | None = None, **options) -> None:
        check_options(self, options)
        if part is not None and not (len(np.atleast_1d(part)) == 2 and 0 <= part[0] < part[1]):
            raise ValueError(f"part={part}: (k, n) with k from 0 to n - 1")
        self.part = part
        self.packed = PackedSet(data_root, self.KIND)
        infrared_scale = options.pop("infrared_scale", None)
        # Numbers of rows, which take less memory as they are.
        super().__init__(data_root=data_root, **options | dict(serialize_data=False))
        self._metainfo.update(self._settle_scale(infrared_scale))

    def load_data_list(self) -> Sequence[int] | np.ndarray:
        """Rows of the index, those of the part."""
        if self.part is None:
            self.packed.check_shards()
            return range(len(self.packed))
        (which, count), shards = self.part, self.packed.header["shards"]
        if count > len(shards):
            reason = f"part={self.part} of {len(shards)} shards: pack with a smaller --shard-gib"
            raise PackedSetError.of(self.data_root, reason)
        images = np.array([shard["images"] for shard in shards])
        shortest = min(images[start::count].sum() for start in range(count))
        mine = range(which, len(shards), count)
        self.packed.check_shards(mine)
        ends = images.cumsum()
        rows = np.concatenate([np.arange(ends[i] - images[i], ends[i]) for i in mine])
        return rows[:shortest]

    def _settle_scale(self, infrared_scale: dict | None) -> dict[str, dict]:
        """:func:`settle_scale`, and what was settled when the set was packed."""
        steps, header = self.pipeline.transforms, self.packed.header
        given = settle_scale(steps, infrared_scale)["infrared_scale"]
        whole = header["depth"] == "8"
        settled = Scaling(**header["infrared_scale"])
        for key in given:
            if (whole or key in ("unit", "palette")) and given[key] != getattr(settled, key):
                raise PackedSetError.of(
                    self.data_root,
                    f"infrared_scale has {key}={given[key]!r}, the set was packed with"
                    f" {getattr(settled, key)!r}: leave it out, or pack with --infrared-scale"
                    f" '{key}={given[key]}'",
                )
        if given.get("sequence") and not whole:
            raise PackedSetError.of(
                self.data_root,
                "infrared_scale has sequence=True, which looks at files: pack with --depth 8"
                " --infrared-scale sequence=True, or give a range",
            )
        if whole:  # the levels are there
            settle_scale(steps, {})
        return dict(infrared_scale={**given, **settled.setting()})

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        row = int(self.data_list[idx])
        frames = dict(zip(self.packed.names(row), self.packed.pixels(row)))
        return dict(**sample_of(list(frames)), frames=frames, sample_idx=idx % len(self))


@DATASETS.register_module()
class PackedRGBT(PackedInfrared):
    """The pairs of a packed set, for the same pipelines as ``RGBTFolder``.

    A sample is ``dict(img_path, infrared_path, visible_path, modality='both', frames)``.

    Args:
        data_root, part, options: as in :class:`PackedInfrared`.
        infrared, visible: as ``RGBTFolder`` takes them, so that a config of it needs no other
            change: folders that the set must have been packed from; None: any.
        ann_file: empty; a list is given when the set is packed.

    Raises:
        PackedSetError: see :class:`PackedInfrared`; also packed from other folders.
        ValueError: a list.
    """

    KIND = "pairs"

    def __init__(
        self,
        data_root: str,
        infrared: str | None = None,
        visible: str | None = None,
        ann_file: str = "",
        **options,
    ) -> None:
        if ann_file:
            raise ValueError(
                f"PackedRGBT takes no list (ann_file={ann_file!r}): pack its pairs, {_TOOL} --list"
                f" {ann_file}, and set ann_file=''"
            )
        super().__init__(data_root, **options)
        for side, folder in dict(infrared=infrared, visible=visible).items():
            held = self.packed.header["folders"][side]
            if folder not in (None, held):
                reason = f"packed from {side}={held!r}, not {folder!r}: set {side}=None or {held!r}"
                raise PackedSetError.of(data_root, reason)
