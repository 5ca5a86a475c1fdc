"""Load the class of every pixel from a label image."""

import warnings
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from mmspec.conventions import IGNORE_INDEX
from mmspec.thermal.errors import FileError, UnreadableImageError
from mmspec.thermal.jpeg import JPEG
from mmspec.thermal.pictures import PNG
from mmspec.thermal.tiff import SCALED_BY_DECODERS, TIFF, stored_levels

from .image_io import decode_image

_UNKNOWN = 254  # of LabelCodes' table: a value that no class has


class LabelError(FileError):
    """A label image that cannot be used; the message names it and what is wrong."""


class LabelCodes:
    """What the pixel values of a data set's label images mean.

    Args:
        classes: names of the classes, at most 254.
        codes: class index of each pixel value that may occur, values from 0 to 65535;
            ``ignore_index`` where the pixel counts neither in the loss nor in the metric.
        ignore_index: 255, as everywhere in mmseg.
    """

    #: Whether a JPEG may hold them.
    jpeg = False

    def __init__(
        self, classes: tuple[str, ...], codes: Mapping[int, int], ignore_index: int = IGNORE_INDEX
    ) -> None:
        if len(classes) > _UNKNOWN:
            raise ValueError(f"{len(classes)} classes; at most {_UNKNOWN} fit into uint8 labels")
        self.codes = {int(value): int(index) for value, index in codes.items()}
        for value, index in self.codes.items():
            if not 0 <= value < 65536 or not (0 <= index < len(classes) or index == ignore_index):
                raise ValueError(
                    f"label_values: value {value} as class {index}; values go from 0 to 65535 and"
                    f" classes from 0 to {len(classes) - 1}, or {ignore_index} for pixels to ignore"
                )
        self.classes = classes
        self.ignore_index = ignore_index
        self._table = np.full(65536, _UNKNOWN, np.uint8)
        for value, index in self.codes.items():
            self._table[value] = index

    def read(self, data: bytes, name: str) -> np.ndarray:
        """Pixel values of a label file, as :func:`read_label_values`."""
        return read_label_values(data, name, self.jpeg)

    def decode(self, values: np.ndarray, name: str) -> np.ndarray:
        """Class indices of pixel values.

        Args:
            values: (H, W), an integer type.
            name: what errors call the file.

        Returns:
            (H, W) uint8.

        Raises:
            LabelError: Values that no class has; with the values and how many pixels hold them.
        """
        if values.dtype == np.uint8:
            labels = cv2.LUT(values, self._table[:256])
        else:
            labels = self._table[values.clip(0, 65535)]
            labels[(values < 0) | (values > 65535)] = _UNKNOWN
        unknown = labels == _UNKNOWN
        if unknown.any():
            found, counts = np.unique(values[unknown], return_counts=True)
            listed = [f"{value} ({count:,} pixels)" for value, count in zip(found[:8], counts)]
            raise LabelError.of(
                name,
                f"{counts.sum():,} of {values.size:,} pixels hold values outside the"
                f" {len(self.classes)} classes: {', '.join(listed)}"
                + (f" and {len(found) - 8} more values" if len(found) > 8 else "")
                + f"; allowed: {self}; label_values={{VALUE: CLASS}} of the data set allows others",
            )
        return labels

    def __str__(self) -> str:
        meaning = {
            value: "ignored" if index == self.ignore_index else self.classes[index]
            for value, index in self.codes.items()
        }
        return ", ".join(f"{value} {meaning[value]}" for value in sorted(meaning))


class MaskLevels(LabelCodes):
    """Background and target from masks that are drawn in gray: 0 and 1, 0 and 255, soft edges.

    Levels from 128 on are target, so that anti-aliased edges are cut at half. Where all masks of a
    data set end at 1 (:meth:`settle`), 1 is target; elsewhere it is noise. A mask that ends between
    2 and 127 is refused: all of it would become background without a word.

    Args:
        classes: names of background and target.
        ignore_index: 255, as everywhere in mmseg; no level of a mask means it.
        jpeg: take masks in JPEG files too. What their compression changes lies far from half of the
            range, but for edges, which it moves by less than a pixel.
    """

    THRESHOLD = 128
    _ENOUGH = 200  # masks that hold 0 and 1 alone

    def __init__(
        self, classes: tuple[str, str], ignore_index: int = IGNORE_INDEX, jpeg: bool = False
    ) -> None:
        super().__init__(classes, {0: 0, 1: 1, 255: 1}, ignore_index)
        self.jpeg = jpeg
        self.highest = 255
        self._told = False

    def settle(self, paths: Iterable[str]) -> None:
        """Decide whether the masks of a data set are of 0 and 1, or of 0 to 255.

        Reads until one reaches 128, which mostly is the first with a target.
        """
        of_ones = 0
        self.highest = 255
        for path in paths:
            try:
                with open(path, "rb") as file:
                    highest = int(self.read(file.read(), path).max())
            except (LabelError, OSError):  # is told when it is loaded
                continue
            of_ones += highest == 1
            if highest >= self.THRESHOLD:
                return
            if of_ones == self._ENOUGH:
                break
        self.highest = 1 if of_ones else 255

    def read(self, data: bytes, name: str) -> np.ndarray:
        return read_label_values(data, name, self.jpeg, drawn=True)

    def decode(self, values: np.ndarray, name: str) -> np.ndarray:
        """Class indices, (H, W) uint8, of gray levels (H, W) of an integer type.

        Raises:
            LabelError: Levels that end between 2 and 127, lie outside 0 to 255, or exceed 1 in a
                data set of 0 and 1.
        """
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 255 or 1 < highest < self.THRESHOLD:
            raise LabelError.of(
                name,
                f"levels from {lowest} to {highest}: neither a mask of 0 and 1 nor one of 0 to 255"
                f" with target from {self.THRESHOLD} on; if these are class numbers or the indices"
                " of a palette, say what they mean by label_values={0: 0, ...: 1}",
            )
        if highest > self.highest:
            raise LabelError.of(
                name,
                f"levels from {lowest} to {highest}, in a data set whose other masks end at 1; say"
                " what the levels mean by label_values={0: 0, 1: ..., 255: 1}",
            )
        if highest == 1 < self.highest and not self._told:
            self._told = True
            warnings.warn(
                f"{name}: levels 0 and 1 in a data set of masks of 0 to 255 are taken for"
                " background; if 1 is target there, give label_values={0: 0, 1: 1, 255: 1} (said"
                " once)",
                stacklevel=2,
            )
        return (values >= (1 if self.highest == 1 else self.THRESHOLD)).astype(np.uint8)

    def __str__(self) -> str:
        background, target = self.classes
        if self.highest == 1:
            return f"0 {background} and 1 {target}"
        return f"gray levels with {target} from {self.THRESHOLD} on"


def read_label_values(
    data: bytes, name: str, jpeg: bool = False, drawn: bool = False
) -> np.ndarray:
    """Pixel values of a label image as the file holds them, upright as its image is loaded.

    8- and 16-bit gray is read as it is; of a palette image the indices are the values, its colours
    are decoration; three equal channels are one. A coloured picture of a label is refused, and so
    is JPEG, whose compression invents values along every edge.

    Args:
        data: the file's bytes.
        name: what errors call the file.
        jpeg: take JPEG all the same.
        drawn: levels as they are seen, of a mask that is drawn in gray: a palette of gray levels is
            looked up, and full scale is 255 at any number of bits. Of a palette with colours index
            1 is the target, 255, and no other index may occur.

    Returns:
        (H, W) uint8, uint16 or int32.

    Raises:
        LabelError: Not an image, damaged, JPEG, coloured, transparent or of floating point.
    """
    try:
        image = decode_image(data, name)
    except UnreadableImageError as error:
        raise LabelError.of(name, error.reason) from None
    stored = data.startswith(TIFF) and not drawn
    mode, values = image.mode, stored_levels(image) if stored else np.array(image)
    if drawn and mode == "P":
        return _drawn_by_palette(values, np.array(image.convert("RGB")), name)
    if data.startswith(JPEG) and not jpeg:
        raise LabelError.of(name, "a JPEG label: its compression changes class numbers; use PNG")
    if mode == "RGB" and not _deep(data) and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        colours = len(np.unique(values.reshape(-1, values.shape[-1]), axis=0))
        raise LabelError.of(
            name,
            f"a picture of a label ({mode}, {colours} colours), not class numbers in one channel;"
            " look for another folder of labels, or convert the colours to class numbers",
        )
    if values.dtype.kind == "f":
        raise LabelError.of(name, "labels of floating point; save class numbers as 8-bit PNG")
    if values.dtype == bool:
        return values.astype(np.uint8) * (255 if drawn else 1)
    if data.startswith(PNG) and data[25] == 0 and not drawn:
        values //= SCALED_BY_DECODERS.get(data[24], 1)
    return values


def _drawn_by_palette(indices: np.ndarray, colours: np.ndarray, name: str) -> np.ndarray:
    """(H, W) uint8 levels of a palette image, from its indices and (H, W, 3) colours."""
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    if indices.max() > 1:
        raise LabelError.of(
            name,
            f"a palette of colours with indices {', '.join(map(str, np.unique(indices)[:8]))}, not"
            " a mask in gray; say what the indices mean by label_values={0: 0, ...: 1}",
        )
    return indices * np.uint8(255)


def _deep(data: bytes) -> bool:
    """Whether a PNG has 16 bits a channel, of which Pillow keeps 8 in colour images."""
    return data.startswith(PNG) and data[24] == 16
