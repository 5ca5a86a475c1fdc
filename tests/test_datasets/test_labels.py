import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmspec.datasets.label_io import LabelCodes, LabelError, read_label_values

CLASSES = np.tile(np.arange(4, dtype=np.uint8), (4, 1))


def encoded(tmp_path, image, name="label.png", **options):
    image.save(tmp_path / name, **options)
    return (tmp_path / name).read_bytes()


def palette_image():
    image = Image.fromarray(CLASSES).convert("P")
    image.putdata(CLASSES.ravel().tolist())
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
    return image


@pytest.mark.parametrize(
    ("make", "name", "options"),
    [
        (lambda: Image.fromarray(CLASSES), "a.png", {}),
        (lambda: Image.fromarray(CLASSES), "a.bmp", {}),
        (lambda: Image.fromarray(CLASSES.astype(np.uint16)), "a.png", {}),
        (lambda: Image.fromarray(CLASSES.astype(np.uint16)), "a.tif", {}),
        (lambda: Image.fromarray(CLASSES.astype(np.int32)), "a.tif", {}),
        (lambda: Image.fromarray(np.repeat(CLASSES[..., None], 3, axis=2)), "a.png", {}),
        (palette_image, "a.png", {}),
        (palette_image, "a.png", dict(bits=2)),
    ],
)
def test_labels_of_any_depth_are_read_as_they_are(tmp_path, make, name, options):
    values = read_label_values(encoded(tmp_path, make(), name, **options), name)
    assert values.dtype.kind in "ui"
    np.testing.assert_array_equal(values, CLASSES)


def test_one_bit_labels(tmp_path):
    data = encoded(tmp_path, Image.fromarray(CLASSES > 1))
    np.testing.assert_array_equal(read_label_values(data, "a.png"), CLASSES > 1)


@pytest.mark.parametrize("bits", [2, 4])
def test_gray_png_of_few_bits_is_not_stretched(bits):
    packed = {2: bytes([0, 0b00011011]), 4: bytes([0, 0x01, 0x23])}[bits] * 4
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(packed)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    np.testing.assert_array_equal(read_label_values(data, "a.png"), CLASSES)


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (
            lambda: palette_image().convert("RGB"),
            "a.png",
            r"a picture of a label \(RGB, 4 colours\)",
        ),
        (lambda: palette_image().convert("RGBA"), "a.png", r"a picture of a label \(RGBA"),
        (lambda: Image.fromarray(CLASSES), "a.jpg", "a JPEG label"),
        (lambda: Image.fromarray(CLASSES.astype(np.float32)), "a.tif", "labels of floating point"),
    ],
)
def test_labels_that_are_refused(tmp_path, make, name, message):
    with pytest.raises(LabelError, match=f"^a: {message}"):
        read_label_values(encoded(tmp_path, make(), name), "a")


def test_a_48_bit_picture_is_refused_although_its_upper_bytes_agree(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint16)
    pixels[..., 2] = 3  # lost when 16 bits become 8
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    with pytest.raises(LabelError, match="picture of a label"):
        read_label_values((tmp_path / "a.png").read_bytes(), "a")


@pytest.mark.parametrize(
    ("keep", "message"),
    [(0, "not an image"), (60, "cannot be read as an image"), (-40, "cannot be read as an image")],
)
def test_a_label_cut_short(tmp_path, keep, message):
    pixels = np.random.RandomState(0).randint(0, 9, (40, 40)).astype(np.uint8)
    data = encoded(tmp_path, Image.fromarray(pixels))
    with pytest.raises(LabelError, match=f"^label: {message}"):
        read_label_values(data[:keep], "label")


def test_values_beyond_the_table_are_outside_the_classes():
    codes = LabelCodes(("a", "b"), {0: 0, 65535: 1})
    assert codes.decode(np.array([[0, 65535]], np.uint16), "x").tolist() == [[0, 1]]
    with pytest.raises(LabelError, match=r"2 of 3 .*-5 \(1 pixels\), 65536 \(1 pixels\)"):
        codes.decode(np.array([[0, -5, 65536]], np.int32), "x")


def test_only_eight_values_are_listed():
    with pytest.raises(LabelError, match=r"10 \(1 pixels\) and 4 more values; allowed"):
        LabelCodes(("a",), {0: 0}).decode(np.arange(3, 15, dtype=np.uint8)[None], "x")
