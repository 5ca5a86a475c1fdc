"""Tiny data sets, each in the layout in which it is released."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

_CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "FFV1"}
SIZE = (60, 90)  # height, width: neither 16 nor 32 divides it


@dataclass(frozen=True)
class Layout:
    """Where the files of a sample lie below the root: ``{split}`` and ``{name}`` are filled in."""

    infrared: str | None  # None: the fourth channel of the visible image
    visible: str | None
    label: str | None = None
    listed: str | None = None  # a text file of the names of a split
    values: Sequence[int] = (0, 255)  # of labels


LAYOUTS = {
    "InfraredFolder": Layout("{name}.png", None),
    "RGBTFolder": Layout("ir/{name}.png", "rgb/{name}.png"),
    "RoadSceneMatchingDataset": Layout(
        "cropinfrared/{name}.jpg", "crop_LR_visible/{name}.jpg", None, "{split}.txt"
    ),
    "MSRSDataset": Layout(
        "{split}/ir/{name}.png", "{split}/vi/{name}.png",
        "{split}/Segmentation_labels/{name}.png", None, range(9),
    ),
    "MFNetDataset": Layout(
        None, "images/{name}.png", "labels/{name}.png", "{split}.txt", range(9)
    ),
    "FMBDataset": Layout(
        "{split}/Infrared/{name}.png", "{split}/Visible/{name}.png", "{split}/Label/{name}.png",
        None, range(15),
    ),
    "SemanticRTDataset": Layout(
        "thermal/{name}.jpg", "rgb/{name}.jpg", "labels/{name}.png", "{split}.txt", range(13)
    ),
    # Frames of videos; a split lists videos, here one of its own name.
    "MVSEGDataset": Layout(
        "data/{split}/infrared/{name}i.png", "data/{split}/visible/{name}v.png",
        "data/{split}/label/{name}l.png", "{split}.txt", range(26),
    ),
    "PST900Dataset": Layout(
        "{split}/thermal/{name}.png", "{split}/rgb/{name}.png", "{split}/labels/{name}.png",
        None, range(5),
    ),
    # As to_coco.py --label-images leaves them.
    "InfraredSegDataset": Layout(
        "{name}.png", None, "label_images/{name}.png", "{split}.txt", range(2)
    ),
    "UdderDataset": Layout("images/{split}/{name}.png", None, "masks/{split}/{name}.png"),
    "EyeDataset": Layout(
        "images/{split}/{name}.png", None, "labels/{split}/{name}.png", None, range(3)
    ),
    "SmallTargetDataset": Layout(
        "images/{name}.png", None, "masks/{name}_pixels0.png", "{split}.txt"
    ),
    "IRSTD1kDataset": Layout(
        "IRSTD1k_Img/{name}.png", None, "IRSTD1k_Label/{name}.png", "{split}.txt"
    ),
    "SIRSTDataset": Layout(
        "images/{name}.png", None, "masks/{name}_pixels0.png", "idx_427/{split}.txt"
    ),
    "NUAASIRSTDataset": Layout(
        "images/{name}.png", None, "masks/{name}.png", "50_50/{split}.txt"
    ),
    "NUDTSIRSTDataset": Layout(
        "images/{name}.png", None, "masks/{name}.png", "50_50/{split}.txt"
    ),
    "SIRSTv2Dataset": Layout(
        "mixed/{name}.png", None, "annotations/masks/{name}_pixels0.png",
        "splits/{split}_full.txt",
    ),
    "SaliencyDataset": Layout("T/{name}.tif", "RGB/{name}.png", "GT/{name}.bmp"),
    "VT5000Dataset": Layout(
        "{split}/T/{name}.jpg", "{split}/RGB/{name}.jpg", "{split}/GT/{name}.png"
    ),
    "VT1000Dataset": Layout("T/{name}.bmp", "RGB/{name}.jpg", "GT/{name}.jpg"),
    "VT821Dataset": Layout("T/{name}.jpg", "RGB/{name}.jpg", "GT/{name}.jpg"),
    "VIRGBT1500Dataset": Layout("T/{name}.png", "RGB/{name}.jpg", "GT/{name}.png"),
}  # fmt: skip
SMALL_TARGETS = [name for name in LAYOUTS if "SIRST" in name or "Target" in name or "IRSTD" in name]
SALIENCY = [name for name, layout in LAYOUTS.items() if "GT/" in (layout.label or "")]

PERSON_BICYCLE_CAR = ("person", "bicycle", "car")


@dataclass(frozen=True)
class BoxLayout:
    """Images, and a COCO file a split; ``file_name`` begins after ``folder``."""

    classes: tuple[str, ...]
    infrared: str
    visible: str | None
    annotations: str
    folder: str = ""


BOX_LAYOUTS = {
    "M3FDDataset": BoxLayout(
        ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck"),
        "Ir/{name}.png", "Vis/{name}.png", "annotations/{split}.json",
    ),
    "FLIRDataset": BoxLayout(
        PERSON_BICYCLE_CAR,
        "JPEGImages/{name}_PreviewData.png", "JPEGImages/{name}_RGB.png",
        "annotations/{split}.json",
    ),
    "LLVIPDataset": BoxLayout(
        ("person",),
        "infrared/{split}/{name}.png", "visible/{split}/{name}.png", "annotations/{split}.json",
    ),
    "KAISTDataset": BoxLayout(
        ("person",),
        "images/set06/V000/lwir/{name}.png", "images/set06/V000/visible/{name}.png",
        "annotations/{split}.json",
    ),
    "MSRSDetDataset": BoxLayout(
        PERSON_BICYCLE_CAR,
        "MSRS/{split}/ir/{name}.png", "MSRS/{split}/vi/{name}.png",
        "annotations/{labels}_{split}.json", "MSRS/{split}/ir/",
    ),
    "InfraredDetDataset": BoxLayout(
        ("person", "car"), "images/{split}/{name}.png", None, "annotations/{split}.json",
    ),
    "HITUAVDataset": BoxLayout(
        ("Person", "Car", "Bicycle", "OtherVehicle", "DontCare"),
        "normal_json/{split}/{name}.png", None, "normal_json/annotations/{split}.json",
        "normal_json/{split}/",
    ),
}  # fmt: skip


def save(path: Path, pixels: np.ndarray | Image.Image, **options) -> None:
    """Write an image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)


def textured(kind: str, number: int, size: tuple[int, int]) -> np.ndarray:
    """Noise, another in each image."""
    rng = np.random.default_rng(number)
    shape = (*size, 3) if kind == "visible" else size
    return rng.integers(1, 200 if kind == "visible" else 80, shape, dtype=np.uint8)


def write(
    root: Path,
    dataset: str,
    split: str = "train",
    names: Sequence[str] = ("a", "b"),
    size: tuple[int, int] = SIZE,
    draw: Callable[[str, int, tuple[int, int]], np.ndarray] = textured,
) -> None:
    """One split of a data set without boxes.

    ``draw`` gives the pixels of ``'infrared'``, ``'visible'`` and, if it gives any, ``'label'``
    number i. Else masks of 0 and 255 have one blob each, and labels all classes in bands.
    """
    layout = LAYOUTS[dataset]
    for number, name in enumerate(names):
        images = {kind: draw(kind, number, size) for kind in ("infrared", "visible")}
        label = None if draw is textured else draw("label", number, size)
        if label is None:
            label = _label(layout.values, number, size)
            if len(layout.values) == 2:
                images["infrared"] = np.maximum(images["infrared"], label - label // 16)
        if layout.infrared is None:
            images["visible"] = np.dstack([images["visible"], images["infrared"]])
        for kind, pixels in (*images.items(), ("label", label)):
            place = getattr(layout, kind)
            if place is not None:
                save(root / place.format(split=split, name=name), pixels)
    if layout.listed:
        file = root / layout.listed.format(split=split)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(split if dataset == "MVSEGDataset" else "\n".join(names))


def _label(values: Sequence[int], number: int, size: tuple[int, int]) -> np.ndarray:
    if len(values) == 2:
        label = np.full(size, values[0], np.uint8)
        label[20 : 23 + number, 30:33] = values[1]
        return label
    bands = np.arange(size[0] * size[1]).reshape(size) // (4 * size[1]) % len(values)
    return np.asarray(values, np.uint8)[bands]


def write_boxes(
    root: Path,
    dataset: str,
    split: str = "train",
    names: Sequence[str] = ("I00000", "I00001"),
    size: tuple[int, int] = (96, 128),
) -> None:
    """One split of a data set of boxes: two bright objects in each image."""
    layout = BOX_LAYOUTS[dataset]
    categories = [dict(id=i, name=name) for i, name in enumerate(layout.classes)]
    content = dict(images=[], annotations=[], categories=categories)
    height, width = size
    for i, name in enumerate(names):
        images = {kind: textured(kind, i, size) for kind in ("infrared", "visible")}
        for j, (x, y) in enumerate(((10 * i, 20), (60, 30))):
            for pixels in images.values():
                pixels[y : y + 60, x : x + 30] = 220
            content["annotations"].append(
                dict(
                    id=10 * i + j + 1,
                    image_id=i,
                    category_id=j % len(layout.classes),
                    bbox=[x, y, 30, 60],
                    area=1800,
                    iscrowd=0,
                    occlusion=0,
                )
            )
        image = dict(id=i, width=width, height=height)
        for kind, key in (("infrared", "file_name"), ("visible", "visible_file_name")):
            if place := getattr(layout, kind):
                place = place.format(split=split, name=name)
                save(root / place, images[kind])
                if kind == "infrared" or not layout.folder:
                    image[key] = place.removeprefix(layout.folder.format(split=split))
        content["images"].append(image)
    for labels in ("infrared", "visible", "fusion"):  # of MSRS; one file of the others
        file = root / layout.annotations.format(split=split, labels=labels)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))


def write_any(root: Path, dataset: str, splits: Sequence[str], count: int = 3) -> None:
    """Splits of any data set, with samples of their own; one where a data set has no parts."""
    layout = BOX_LAYOUTS.get(dataset) or LAYOUTS[dataset]
    for split in splits if "{split}" in repr(layout) else splits[:1]:
        if dataset in BOX_LAYOUTS:
            names = [f"I{10 * splits.index(split) + i:05}" for i in range(count)]
            write_boxes(root, dataset, split, names)
        else:
            write(root, dataset, split, [f"{split}{i}" for i in range(count)])


def fff(pixels: bytes, width: int, height: int, order: str = ">") -> bytes:
    """A FLIR block with a record of raw data alone."""
    record = struct.pack("<HHH26x", 2, width, height) + pixels
    header = b"FFF\0" + bytes(16) + struct.pack(f"{order}III", 100, 64, 1) + bytes(32)
    return header + struct.pack(f"{order}HHIIII12x", 1, 2, 100, 1, 96, len(record)) + record


def flir_block(counts: np.ndarray) -> bytes:
    """A frame of a FLIR recording."""
    return fff(counts.astype("<u2").tobytes(), *counts.shape[::-1])


def write_recording(path: Path, stack: np.ndarray) -> str:
    """Frames (N, H, W) as the suffix says; the path as text."""
    suffix = path.suffix
    if suffix in _CODECS:
        depth = [cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
        if stack.dtype == np.uint16:
            depth += [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U]
        code = cv2.VideoWriter_fourcc(*_CODECS[suffix])
        video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25, stack.shape[:0:-1], depth)
        assert video.isOpened()
        for frame in stack:
            video.write(frame)
        video.release()
    elif suffix == ".tif":
        tifffile.imwrite(path, stack, photometric="minisblack")
    elif suffix == ".seq":
        path.write_bytes(b"".join(map(flir_block, stack)))
    elif suffix == ".npy":
        np.save(path, stack)
    else:
        np.savez_compressed(path, frames=stack)
    return str(path)
