"""Read the image files of a sample: what they are, and what is odd or wrong about them."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from mmspec.datasets.files import Fault
from mmspec.datasets.image_io import UnreadableImageError, remark_kind
from mmspec.datasets.transforms import LoadRGBTImageFromFile
from mmspec.thermal.recordings import split_frame


@dataclass
class FileRecord:
    """What the files of one sample are; ``size`` is (height, width) in pixels."""

    size: tuple[int, int] | None = None
    kinds: list[str] = field(default_factory=list)
    remarks: list[Fault] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def load_sides(
    sample: dict, record: FileRecord, load: Callable[[dict], dict] | None = None
) -> dict[str, np.ndarray]:
    """(H, W) infrared and RGB (H, W, 3) visible image by side; without those that are unusable.

    Args:
        sample: of a data set, before its pipeline.
        record: gets what is odd or wrong.
        load: the loading step, ``LoadRGBTImageFromFile`` unless given.
    """
    shown = {}
    sides = ("infrared", "visible") if sample["modality"] == "both" else (sample["modality"],)
    for side in sides:
        path = sample[f"{side}_path"]
        record.kinds.append(f"{side} images: {file_kind(path)}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                loaded = (load or LoadRGBTImageFromFile())(dict(sample, modality=side))["img"]
                shown[side] = loaded[..., 0] if side == "infrared" else loaded[..., ::-1]
            except UnreadableImageError as error:
                record.faults.append(Fault(path, error.reason))
        said = [
            str(w.message).removeprefix(f"{path}: ").removesuffix(" (said once)") for w in caught
        ]
        record.remarks += [Fault(path, text) for text in said]
    sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in shown.values()]
    if len(set(sizes)) > 1:
        reason = f"{sizes[0]} pixels, its visible image {sample['visible_path']} {sizes[1]}"
        record.faults.append(Fault(sample["infrared_path"], reason))
    record.size = next((image.shape[:2] for image in shown.values()), None)
    return shown


def kinds_and_sizes(records: Sequence[FileRecord]) -> Iterator[str]:
    """Lines that count kinds of files and sizes of images."""
    for kind, count in Counter(k for record in records for k in record.kinds).items():
        yield f"  {count:>7,}  {kind}"
    sizes = Counter(record.size for record in records if record.size)
    for (height, width), count in sizes.most_common(5):
        yield f"  {count:>7,}  images of {width} x {height} pixels"
    if len(sizes) > 5:
        yield f"           and {len(sizes) - 5:,} other sizes"


def remark_lines(records: Iterable[FileRecord]) -> Iterator[str]:
    """Lines that count remarks, with the first file of each."""
    remarks: dict[str, list[Fault]] = {}
    for record in records:
        for remark in record.remarks:
            remarks.setdefault(remark_kind(remark.reason), []).append(remark)
    for found in remarks.values():
        yield f"note: {len(found):,} files, the first is {found[0].path}: {found[0].reason}"


def file_kind(path: str) -> str:
    """Format and bit depth by the file's head, such as 'PNG, 16-bit gray' or 'NPY, float32'."""
    if (frame := split_frame(path)) is not None:
        return f"{Path(frame[0]).suffix[1:].upper()}, frames"
    suffix = Path(path).suffix.lower()
    try:
        if suffix in (".npy", ".npz"):
            content = np.load(path, mmap_mode="r", allow_pickle=False)
            (array,) = content.values() if isinstance(content, Mapping) else (content,)
            return f"{suffix[1:].upper()}, {array.dtype}"
        if suffix in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages[0]
                return f"TIFF, {page.bitspersample}-bit, {page.samplesperpixel} channels"
        with Image.open(path) as image, open(path, "rb") as file:
            depth = file.read(25)[24] if image.format == "PNG" else 8
            kind = dict(L="gray", P="palette", RGB="colour", RGBA="four channels")
            mode = "gray" if image.mode.startswith(("I", "1")) else kind.get(image.mode, image.mode)
            return f"{image.format}, {depth}-bit {mode}"
    except Exception:  # damaged: the fault comes from the loading step
        return "unknown kind"
