"""One scene in files of each kind that infrared loaders read, made up for ``benchmark.py``."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import tifffile

from mmspec.thermal import flir
from mmspec.thermal.jpeg import JPEG
from mmspec.thermal.palettes import colours

COUNT, SIZE = 8, (512, 640)
# Planck's constants of a camera, and of the air, as FLIR's files have them.
_CONSTANTS = {
    32: [0.95, 1.0, 293.15, 293.15, 293.15, 1.0], 60: [0.5], 88: [16556.0, 1428.0, 1.0],
    112: [0.006569, 0.01262, -0.002276, -0.00667, 1.9], 780: [0.0102],
}  # fmt: skip
_PLANCK_O = (776, -207)
_SEGMENT = 65_000  # bytes; JPEG has 65,533


def write(kind: str, folder: Path) -> list[str]:
    """Make a kind's files below a folder; their names, or those of their frames.

    Raises:
        OSError: OpenCV has no encoder of the kind.
    """
    suffix, encode = KINDS[kind]
    folder = folder / kind.replace(" ", "_").replace(",", "")
    folder.mkdir()
    rng, (height, width) = np.random.default_rng(0), SIZE
    coarse = rng.random((height // 16, width // 16), np.float32)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    counts = 13000 + 3000 * scene + rng.normal(0, 10, (COUNT, height, width))
    counts = counts.astype(np.uint16)
    gray = ((counts - 12900.0) * 255 / 3200).clip(0, 255).astype(np.uint8)
    if suffix in (".npy", ".seq", ".avi", ".mkv"):
        path = folder / f"clip{suffix}"
        encode(path, counts, gray)
        return [f"{path}#{number}" for number in range(COUNT)]
    paths = [folder / f"{number}{suffix}" for number in range(COUNT)]
    for path, *frame in zip(paths, counts, gray):
        encode(path, *frame)
    return list(map(str, paths))


def _image(picture: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., None]:
    """By OpenCV, of what is made of counts and gray levels."""
    return lambda path, *frame: path.write_bytes(cv2.imencode(path.suffix, picture(*frame))[1])


def _video(code: str, deep: bool) -> Callable[..., None]:
    def encode(path: Path, *stacks: np.ndarray) -> None:
        frames = stacks[0 if deep else 1]
        how = [cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
        if deep:
            how += [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U]
        code_of = cv2.VideoWriter_fourcc(*code)
        video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code_of, 25, SIZE[::-1], how)
        if not video.isOpened():
            raise OSError(f"OpenCV has no encoder {code} for {path}")
        for frame in frames:
            video.write(frame)
        video.release()

    return encode


def _block(records: dict[int, bytes]) -> bytes:
    """A FLIR frame of records."""
    header = flir.MAGIC[0] + bytes(16) + struct.pack(">III", 100, 64, len(records)) + bytes(32)
    place, directory = 64 + 32 * len(records), b""
    for number, content in records.items():
        directory += struct.pack(">HHIIII12x", number, 0, 100, 1, place, len(content))
        place += len(content)
    return header + directory + b"".join(records.values())


def _raw(counts: np.ndarray, pixels: bytes) -> bytes:
    height, width = counts.shape
    return struct.pack("<HHH26x", 2, width, height) + pixels


def _sequence(path: Path, counts: Iterable[np.ndarray], _: np.ndarray) -> None:
    blocks = (_block({flir.RAW_DATA: _raw(x, x.astype("<u2").tobytes())}) for x in counts)
    path.write_bytes(b"".join(blocks))


def _radiometric(path: Path, counts: np.ndarray, gray: np.ndarray) -> None:
    camera = bytearray(864)
    for place, values in _CONSTANTS.items():
        struct.pack_into(f"<{len(values)}f", camera, place, *values)
    struct.pack_into("<i", camera, *_PLANCK_O)
    pixels = cv2.imencode(".png", counts.byteswap())[1].tobytes()
    block = _block({flir.RAW_DATA: _raw(counts, pixels), flir.CAMERA_INFO: bytes(camera)})
    parts = [block[start : start + _SEGMENT] for start in range(0, len(block), _SEGMENT)]
    segments = b""
    for number, part in enumerate(parts):
        content = b"FLIR\0\x01" + bytes([number, len(parts) - 1]) + part
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    picture = cv2.imencode(".jpg", gray)[1].tobytes()
    path.write_bytes(JPEG + segments + picture[2:])


#: Suffix, and what writes path, counts and gray levels: (H, W) each, of recordings (N, H, W).
KINDS: dict[str, tuple[str, Callable[..., None]]] = {
    "JPEG": (".jpg", _image(lambda counts, gray: gray)),
    "JPEG, three equal channels": (".jpg", _image(lambda counts, gray: cv2.merge([gray] * 3))),
    "JPEG, iron palette": (".jpg", _image(lambda counts, gray: colours("iron")[gray])),
    "PNG": (".png", _image(lambda counts, gray: gray)),
    "PNG, 16 bits": (".png", _image(lambda counts, gray: counts)),
    "TIFF, 16 bits": (".tif", lambda path, counts, gray: tifffile.imwrite(path, counts)),
    "TIFF, float32": (
        ".tif",
        lambda path, counts, gray: tifffile.imwrite(path, counts.astype(np.float32)),
    ),
    ".npy, 16 bits": (".npy", lambda path, counts, gray: np.save(path, counts)),
    "SEQ": (".seq", _sequence),
    "FLIR JPEG, Celsius": (".jpg", _radiometric),
    "AVI, MJPEG": (".avi", _video("MJPG", deep=False)),
    "MKV, FFV1 of 16 bits": (".mkv", _video("FFV1", deep=True)),
}
