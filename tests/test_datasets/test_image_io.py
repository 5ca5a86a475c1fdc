import io
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from mmspec.datasets.image_io import (
    Scaling,
    UnreadableImageError,
    decode_infrared,
    decode_visible,
    image_size,
    read_infrared,
)
from mmspec.datasets.label_io import read_label_values
from mmspec.thermal.jpeg_warnings import heard_from_libjpeg


def smooth_gray(height=24, width=40):
    """(H, W) uint8 that uses 0 and 255 and is not symmetric."""
    rows, columns = np.mgrid[:height, :width]
    values = rows * 3.0 + columns**1.5
    return np.rint((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)


GRAY = smooth_gray()
RAW = GRAY.astype(np.int64) + 1000  # more than 8 bits, and gone if the low byte is cut off
RAW_RANGE = (1000, 1255)


def pillow_bytes(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff_bytes(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def png_bytes(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


ALPHA = Image.fromarray(np.linspace(0, 255, GRAY.size).astype(np.uint8).reshape(GRAY.shape))
L = Image.fromarray(GRAY)
MODES = {
    "gray": L,
    "three equal channels": L.convert("RGB"),
    "gray and alpha": Image.merge("LA", [L, ALPHA]),
    "RGBA": Image.merge("RGBA", [L, L, L, ALPHA]),
    "gray palette": L.convert("P"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_8_bit_values_are_kept(kind, mode):
    if (kind, mode) == ("BMP", "gray and alpha"):
        pytest.skip("BMP has no gray with alpha")
    gray = read_infrared(pillow_bytes(MODES[mode], kind))
    assert gray.dtype == np.uint8
    np.testing.assert_array_equal(gray, GRAY)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_equals_gray_decoding(mode, progressive):
    data = pillow_bytes(L.convert(mode), "JPEG", quality=90, progressive=progressive)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(read_infrared(data), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_bilevel_becomes_0_and_255(kind):
    bilevel = L.convert("1", dither=Image.Dither.NONE)
    expected = np.where(np.array(bilevel), 255, 0)
    np.testing.assert_array_equal(read_infrared(pillow_bytes(bilevel, kind)), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_palette_is_looked_up(kind):
    palette_image = L.convert("P")
    palette_image.putpalette([255 - level for level in range(256) for _ in range(3)])
    np.testing.assert_array_equal(read_infrared(pillow_bytes(palette_image, kind)), 255 - GRAY)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_keeps_its_depth(channels):
    raw = RAW.astype(np.uint16)
    pixels = raw if channels == 1 else np.dstack([raw] * channels)
    np.testing.assert_array_equal(read_infrared(png_bytes(pixels), value_range=RAW_RANGE), GRAY)


DEEP_TIFF = {
    **{
        kind: tiff_bytes(RAW.astype(kind))
        for kind in ("uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
    },
    "big-endian": tiff_bytes(RAW.astype(np.uint16), byteorder=">"),
    "BigTIFF": tiff_bytes(RAW.astype(np.uint16), bigtiff=True),
    "deflate": tiff_bytes(RAW.astype(np.float32), compression="zlib"),
    "tiles": tiff_bytes(RAW.astype(np.uint16), tile=(16, 16)),
    "strips": tiff_bytes(RAW.astype(np.uint16), rowsperstrip=5),
    "RGB": tiff_bytes(np.dstack([RAW.astype(np.uint16)] * 3), photometric="rgb"),
    "RGB float": tiff_bytes(np.dstack([RAW.astype(np.float32)] * 3), photometric="rgb"),
    "separate planes": tiff_bytes(
        np.stack([RAW.astype(np.uint16)] * 3), photometric="rgb", planarconfig="separate"
    ),
    "white is zero": tiff_bytes((65535 - RAW).astype(np.uint16), photometric="miniswhite"),
    "LZW": pillow_bytes(Image.fromarray(RAW.astype(np.uint16)), "TIFF", compression="tiff_lzw"),
    "LZW float": pillow_bytes(
        Image.fromarray(RAW.astype(np.float32)), "TIFF", compression="tiff_lzw"
    ),
}


@pytest.mark.parametrize("kind", DEEP_TIFF)
def test_deep_tiff(kind):
    gray = read_infrared(DEEP_TIFF[kind], value_range=RAW_RANGE)
    np.testing.assert_array_equal(gray, GRAY)


def test_signed_8_bit_tiff():
    signed = (GRAY.astype(np.int16) - 128).astype(np.int8)
    np.testing.assert_array_equal(read_infrared(tiff_bytes(signed), value_range=(-128, 127)), GRAY)


def test_8_bit_tiff_where_white_is_zero():
    data = tiff_bytes(255 - GRAY, photometric="miniswhite")
    np.testing.assert_array_equal(read_infrared(data), GRAY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "TIFF 16", "TIFF 16 LZW"])
def test_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    tag = dict(tiffinfo={274: orientation}) if "TIFF" in kind else dict(exif=exif)
    image = Image.fromarray(RAW.astype(np.uint16)) if "16" in kind else L
    if "LZW" in kind:
        tag["compression"] = "tiff_lzw"
    container = kind.split()[0]
    plain = read_infrared(pillow_bytes(image, container), value_range=RAW_RANGE)
    reference = Image.fromarray(plain)
    reference.getexif()[274] = orientation
    turned = read_infrared(pillow_bytes(image, container, **tag), value_range=RAW_RANGE)
    np.testing.assert_array_equal(turned, np.array(ImageOps.exif_transpose(reference)))


def exif_bytes(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


def xmp_bytes(orientation):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def png_with_raw_profile(orientation):
    """As ImageMagick writes it."""
    exif = b"Exif\0\0" + exif_bytes(orientation).removeprefix(b"Exif\0\0")
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(exif):8d}\n{exif.hex()}\n", zip=True)
    return pillow_bytes(L, "PNG", pnginfo=info)


def png_with_exif_behind_its_pixels(orientation):
    data = png_bytes(GRAY)
    body = exif_bytes(orientation).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    return data[:-12] + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + body)) + data[-12:]


TAGGED = {
    "JPEG, EXIF": lambda tag: pillow_bytes(L, "JPEG", quality=98, exif=exif_bytes(tag)),
    "JPEG, XMP": lambda tag: pillow_bytes(L, "JPEG", quality=98, xmp=xmp_bytes(tag)),
    "PNG, EXIF": lambda tag: pillow_bytes(L, "PNG", exif=exif_bytes(tag)),
    "PNG, EXIF at the end": png_with_exif_behind_its_pixels,
    "PNG, raw profile": png_with_raw_profile,
    "TIFF": lambda tag: tiff_bytes(GRAY, extratags=[(274, 3, 1, tag, True)]),
    "TIFF, XMP": lambda tag: tiff_bytes(
        GRAY, extratags=[(700, 1, len(xmp_bytes(tag)), xmp_bytes(tag), True)]
    ),
    "deep TIFF": lambda tag: tiff_bytes(
        RAW.astype(np.uint16), extratags=[(274, 3, 1, tag, True)]
    ),
    "deep TIFF, XMP": lambda tag: tiff_bytes(
        RAW.astype(np.uint16), extratags=[(700, 1, len(xmp_bytes(tag)), xmp_bytes(tag), True)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("orientation", [0, *range(1, 9), 9])
@pytest.mark.parametrize("kind", TAGGED)
def test_every_reader_gives_one_file_the_same_way_up(tmp_path, kind, orientation):
    data = TAGGED[kind](orientation)
    path = tmp_path / "a"
    path.write_bytes(data)
    reference = Image.fromarray(GRAY)
    reference.getexif()[274] = orientation
    upright = np.array(ImageOps.exif_transpose(reference)).astype(int)
    assert image_size(path) == upright.shape[::-1]
    deep = kind.startswith("deep")
    label = read_label_values(data, "a", jpeg=True).astype(int)
    readings = [read_infrared(data, value_range=RAW_RANGE), label - 1000 * deep]
    if not deep:
        readings.append(decode_visible(data, "a")[..., 0])
    for reading in readings:
        assert reading.shape == upright.shape
        assert np.abs(reading - upright).max() <= (3 if "JPEG" in kind else 0)


def test_damaged_metadata_do_not_make_an_image_unusable(tmp_path):
    data = pillow_bytes(L, "JPEG", exif=b"Exif\0\0no TIFF header at all")
    (tmp_path / "a.jpg").write_bytes(data)
    np.testing.assert_array_equal(read_infrared(data), decode_visible(data, "a")[..., 0])
    assert image_size(tmp_path / "a.jpg") == (40, 24)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.png: no image"),
        (b"II*\0oops", "a.png: no image"),
        (None, "a.png: cannot be opened"),
    ],
)
def test_size_of_what_is_no_image(tmp_path, data, message):
    if data is not None:
        (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImageError, match=message):
        image_size(tmp_path / "a.png")


@pytest.mark.parametrize("percentiles", [(0, 100), (0.5, 99.5), (2, 90)])
def test_percentile_stretch(percentiles):
    raw = np.random.default_rng(0).normal(30000, 3000, (50, 70)).astype(np.uint16)
    low, high = np.percentile(raw, percentiles, method="inverted_cdf").astype(float)
    expected = np.rint(((raw - low) / (high - low) * 255).clip(0, 255))
    # A wall of noise: without min_span=0 it would not be stretched to the full.
    from_histogram = read_infrared(png_bytes(raw), percentiles=percentiles, min_span=0)
    np.testing.assert_array_equal(from_histogram, expected)
    from_values = read_infrared(
        tiff_bytes(raw.astype(np.float32)), percentiles=percentiles, min_span=0
    )
    np.testing.assert_array_equal(from_values, expected)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_small_target_on_an_even_sky_survives_the_stretch(kind):
    raw = np.full((60, 60), 5000, kind)
    raw[30, 40] = 9000
    gray = read_infrared(tiff_bytes(raw))
    assert gray[30, 40] == 255
    assert gray.sum() == 255


@pytest.mark.parametrize("level", [0, 300])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
def test_constant_image_is_legal(kind, level):
    level = min(level, 200) if kind == "uint8" else level
    gray = read_infrared(tiff_bytes(np.full((20, 30), level, kind)))
    np.testing.assert_array_equal(gray, np.full((20, 30), level if kind == "uint8" else 0))


def test_value_range_clips():
    raw = np.array([[0, 100, 200, 300, 65535]], np.uint16)
    gray = read_infrared(png_bytes(raw), value_range=(100, 300))
    np.testing.assert_array_equal(gray, [[0, 0, 128, 255, 255]])


def test_value_range_leaves_8_bit_alone():
    np.testing.assert_array_equal(read_infrared(png_bytes(GRAY), value_range=(0, 10)), GRAY)


def test_colour_is_luma_with_one_warning_that_names_the_file(tmp_path):
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[...] = (10, 100, 200)
    path = tmp_path / "jet.png"
    Image.fromarray(colour).save(path)
    with pytest.warns(UserWarning, match=r"jet\.png: a colour image") as caught:
        gray = read_infrared(path)
    assert len(caught) == 1
    np.testing.assert_array_equal(gray, np.full((8, 8), 84))  # 0.299*10 + 0.587*100 + 0.114*200


def test_colour_of_16_bits_is_luma():
    colour = np.dstack([RAW + 400, RAW, RAW - 400]).astype(np.uint16)
    with pytest.warns(UserWarning, match="a colour image"):
        gray = read_infrared(tiff_bytes(colour, photometric="rgb"), value_range=RAW_RANGE)
    luma = (RAW + 74 - 1000).clip(0, 255)
    np.testing.assert_array_equal(gray, luma)  # 74 is (0.299 - 0.114) * 400


def test_slight_chroma_is_not_colour():
    pixels = np.dstack([GRAY // 2, GRAY // 2 + 3, GRAY // 2])
    gray, remarks = decode_infrared(pillow_bytes(Image.fromarray(pixels), "PNG"), "x")
    assert remarks == ()
    assert np.abs(gray.astype(int) - GRAY // 2).max() <= 3


def test_frames_beyond_the_first_are_reported():
    with pytest.warns(UserWarning, match="several frames"):
        gray = read_infrared(
            tiff_bytes(np.stack([RAW, RAW + 9]).astype(np.uint16), photometric="minisblack"),
            value_range=RAW_RANGE,
        )
    np.testing.assert_array_equal(gray, GRAY)


NOISE = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
WHOLE = {
    "JPEG": pillow_bytes(Image.fromarray(NOISE), "JPEG"),
    "progressive JPEG": pillow_bytes(Image.fromarray(NOISE), "JPEG", progressive=True),
    "PNG": png_bytes(NOISE),
    "BMP": pillow_bytes(Image.fromarray(NOISE), "BMP"),
    "TIFF": tiff_bytes(NOISE),
    "TIFF of strips": tiff_bytes(NOISE.astype(np.uint16), rowsperstrip=8, compression="zlib"),
    "TIFF separate planes": tiff_bytes(
        np.stack([NOISE] * 3).astype(np.uint16), photometric="rgb", planarconfig="separate"
    ),
    "LZW TIFF": pillow_bytes(Image.fromarray(NOISE), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", WHOLE)
def test_file_cut_short(kind, share):
    data = WHOLE[kind]
    read_infrared(data)
    with pytest.raises(UnreadableImageError, match="^frame_7: (?!.*skip_broken)"):
        read_infrared(data[: int(share * len(data))], name="frame_7")


def test_jpeg_cut_short_behind_a_thumbnail_with_its_own_end_marker():
    data = WHOLE["JPEG"]
    with_thumbnail = data[:2] + b"\xff\xe1\x00\x08ab\xff\xd9cd" + data[2:]
    np.testing.assert_array_equal(read_infrared(with_thumbnail), read_infrared(data))
    with pytest.raises(UnreadableImageError, match="JPEG cut short"):
        read_infrared(with_thumbnail[:-2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_bytes_behind_the_end_do_not_matter(kind):
    data = WHOLE[kind]
    np.testing.assert_array_equal(read_infrared(data + b"\0" * 100), read_infrared(data))


def scan_of(data):
    """First and last position of the coded pixels of a JPEG."""
    start = data.rindex(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], "big"), len(data) - 2


DAMAGE = {
    "a hole": lambda data, place: data[:place] + data[place + 300 :],
    "zeros": lambda data, place: data[:place] + bytes(64) + data[place + 64 :],
    "other bytes": lambda data, place: (
        data[:place] + np.random.default_rng(0).bytes(512) + data[place + 512 :]
    ),
}
READERS = {
    "infrared": lambda data: read_infrared(data, name="hit"),
    "visible": lambda data: decode_visible(data, "hit"),
    "mask": lambda data: read_label_values(data, "hit", jpeg=True),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_jpeg_damaged_in_its_scan_is_named(capfd, reader, damage):
    data = pillow_bytes(Image.fromarray(NOISE), "JPEG", quality=90)
    first, last = scan_of(data)
    READERS[reader](data)
    damaged = DAMAGE[damage](data, (2 * first + last) // 3)
    with pytest.raises(ValueError, match="^hit: .*damaged: Corrupt JPEG data: "):
        READERS[reader](damaged)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("padding", [bytes(7), bytes(range(1, 13)), bytes(500)])
def test_a_jpeg_padded_behind_its_pixels_is_read_with_a_warning(reader, padding):
    data = pillow_bytes(Image.fromarray(NOISE), "JPEG")
    with pytest.warns(UserWarning, match="^hit: a JPEG with bytes left over behind its pixels"):
        padded = READERS[reader](data[:-2] + padding + data[-2:])
    np.testing.assert_array_equal(padded, READERS[reader](data))


def test_what_others_print_while_a_decoder_is_heard_is_not_lost(capfd):
    with heard_from_libjpeg() as said:
        os.write(2, b"one\nCorrupt JPEG data: bad Huffman code\ntwo\n")
    assert said == ["Corrupt JPEG data: bad Huffman code"]
    assert capfd.readouterr().err == "one\ntwo\n"


def test_a_decoder_is_not_heard_without_a_standard_error():
    code = (
        "import os, sys; from mmspec.datasets.image_io import read_infrared; os.close(2);"
        " print(read_infrared(sys.argv[1]).shape)"
    )
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(pillow_bytes(L, "JPEG"))
        file.flush()
        done = subprocess.run(
            [sys.executable, "-c", code, file.name], capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines()[-1] == "(24, 40)"


@pytest.mark.parametrize("reader", ["infrared", "visible"])
def test_a_png_whose_pixels_do_not_fit_their_checksum(reader):
    data = bytearray(png_bytes(NOISE))
    end = data.rindex(b"IEND") - 8  # the checksum of the last pixels, which decoders may skip
    data[end] ^= 1
    with pytest.raises(UnreadableImageError, match="^hit: .*bad header checksum in b'IDAT'"):
        READERS[reader](bytes(data))


def test_empty_file(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(UnreadableImageError, match=r"empty\.jpg: empty file"):
        read_infrared(path)


def test_text_file(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("frame 1: two people")
    with pytest.raises(UnreadableImageError, match=r"notes\.png: not a JPEG.*frame 1: two"):
        read_infrared(path)


def test_absent_file(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"gone\.png: cannot be opened"):
        read_infrared(tmp_path / "gone.png")


@pytest.mark.parametrize("value_range", [None, RAW_RANGE])
@pytest.mark.parametrize("channels", [1, 3])
def test_nan_and_infinite_values_are_counted_and_filled(channels, value_range):
    raw = RAW.astype(np.float32)
    raw[3, 4], raw[5, 6], raw[7, 8] = np.nan, np.inf, -np.inf
    pixels = raw if channels == 1 else np.dstack([raw] * 3)
    data = tiff_bytes(pixels, photometric="minisblack" if channels == 1 else "rgb")
    with pytest.warns(
        UserWarning, match=r"^hot: pixels that hold no .*: 3 of 960 pixels \(0.3%\)$"
    ):
        gray = read_infrared(data, name="hot", value_range=value_range, percentiles=(0, 100))
    expected = GRAY.copy()
    expected[[3, 5, 7], [4, 6, 8]] = 0
    np.testing.assert_array_equal(gray, expected)


BORDER = np.zeros(GRAY.shape, bool)
BORDER[:, :12] = True
INSIDE = RAW[:, 12:]
LOW, HIGH = int(INSIDE.min()), int(INSIDE.max())


def with_border(value, kind, tag=None, **options):
    """A TIFF whose left 12 columns hold a value, named in GDAL's tag if that is given."""
    with np.errstate(over="ignore"):
        pixels = np.where(BORDER, np.array(value).astype(kind), RAW.astype(kind))
    if tag is not None:
        options["extratags"] = [*options.get("extratags", ()), (42113, "s", 0, tag, True)]
    return tiff_bytes(pixels, **options)


LOWEST = float(np.finfo(np.float32).min)
WITHOUT_MEASUREMENT = {
    "Celsius": with_border(-9999, "float32", "-9999"),
    "a space and a zero byte": with_border(-9999, "float32", "-9999 \0"),
    "a decimal comma": with_border(-9999.5, "float32", "-9999,5"),
    "rounded to the type": with_border(-9999.9, "float32", "-9999.9"),
    "lowest float32": with_border(LOWEST, "float32", "-3.4028234663852886e+38"),
    "lowest float32, cut": with_border(LOWEST, "float32", "-3.4e38 "),
    "lowest float32, untold": with_border(LOWEST, "float32"),
    "lowest float64": with_border(-1.7976931348623157e308, "float64", "-1.7976931348623157e+308"),
    "nan": with_border(np.nan, "float32", "nan"),
    "nan, untold": with_border(np.nan, "float64"),
    "inf": with_border(np.inf, "float32", "inf"),
    "float16": with_border(np.nan, "float16"),
    "0 of 16 bits": with_border(0, "uint16", "0"),
    "65535 of 16 bits": with_border(65535, "uint16", "65535"),
    "written as a float": with_border(65535, "uint16", "65535.000"),
    "signed": with_border(-32768, "int16", "-32768"),
    "32 bits": with_border(2**31 - 1, "int32", "2147483647"),
    "LZW": pillow_bytes(
        Image.fromarray(np.where(BORDER, 0, RAW).astype(np.uint16)), "TIFF",
        compression="tiff_lzw", tiffinfo={42113: "0"},
    ),
    "white is zero": tiff_bytes(
        np.where(BORDER, 7, 65535 - RAW).astype(np.uint16), photometric="miniswhite",
        extratags=[(42113, "s", 0, "7", True)],
    ),
    "colour": tiff_bytes(
        np.dstack([np.where(BORDER, 9, RAW).astype(np.uint16)] * 3), photometric="rgb",
        extratags=[(42113, "s", 0, "9", True)],
    ),
    "gray and alpha": tiff_bytes(
        np.dstack([np.where(BORDER, 9, RAW), np.full_like(RAW, 65535)]).astype(np.uint16),
        photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"],
        extratags=[(42113, "s", 0, "9", True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("value_range", [None, (LOW, HIGH)])
@pytest.mark.parametrize("kind", WITHOUT_MEASUREMENT)
def test_pixels_without_a_measurement_are_out_of_the_scaling(kind, value_range):
    with pytest.warns(UserWarning, match=rf": {BORDER.sum()} of {BORDER.size} pixels \(30.0%\)"):
        gray = read_infrared(
            WITHOUT_MEASUREMENT[kind], value_range=value_range, percentiles=(0, 100)
        )
    expected = np.rint((INSIDE - LOW) * 255 / (HIGH - LOW))
    assert np.abs(gray[:, 12:] - expected).max() <= (1 if kind == "float16" else 0)
    assert (gray[:, :12] == 0).all()


def test_the_range_of_a_thermal_orthophoto_belongs_to_its_ground():
    values = np.linspace(20, 32, 120 * 160, dtype=np.float32).reshape(120, 160)
    values[:, :30] = -9999
    with pytest.warns(UserWarning, match="3,600 of 19,200"):
        gray = read_infrared(tiff_bytes(values, extratags=[(42113, "s", 0, "-9999", True)]))
    assert len(np.unique(gray[:, 30:])) >= 250


def test_a_level_for_pixels_without_a_measurement():
    data = WITHOUT_MEASUREMENT["Celsius"]
    with pytest.warns(UserWarning, match="no measurement"):
        gray = read_infrared(data, nodata_level=200)
    assert (gray[:, :12] == 200).all()
    with pytest.raises(ValueError, match="nodata_level must be a gray level, 0 to 255, got 256"):
        read_infrared(data, nodata_level=256)


EIGHT_BITS = {
    "gray": (GRAY, "minisblack", {}),
    "white is zero": (255 - GRAY, "miniswhite", {}),
    "colour": (np.dstack([GRAY] * 3), "rgb", {}),
    "palette": (255 - GRAY, "palette", dict(colormap=np.tile(np.arange(65535, -1, -257), (3, 1)))),
}


@pytest.mark.parametrize("kind", EIGHT_BITS)
def test_nodata_of_8_bits_is_filled_and_the_rest_kept(kind):
    pixels, photometric, options = EIGHT_BITS[kind]
    stored = pixels.copy()
    stored[BORDER] = 0
    if "colormap" in options:
        options = dict(colormap=options["colormap"].astype(np.uint16))
    data = tiff_bytes(
        stored, photometric=photometric, extratags=[(42113, "s", 0, "0", True)], **options
    )
    absent = stored.reshape(*GRAY.shape, -1)[..., 0] == 0
    with pytest.warns(UserWarning, match=f"{absent.sum()} of {absent.size} pixels"):
        gray = read_infrared(data)
    np.testing.assert_array_equal(gray[~absent], GRAY[~absent])
    assert (gray[absent] == GRAY[~absent].min()).all()


def packed_tiff(bits, levels, photometric=1, nodata="3"):
    """A TIFF of one row of gray levels, packed as tightly as their bits allow."""
    row = "".join(f"{level:0{bits}b}" for level in levels)
    row = int(row.ljust(-(-len(row) // 16) * 16, "0"), 2).to_bytes(-(-len(row) // 16) * 2, "big")
    tags = [
        (256, 4, 1, len(levels)), (257, 4, 1, 1), (258, 3, 1, bits), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 1),
        (279, 4, 1, len(row)), (42113, 2, 2, ord(nodata)),
    ]  # fmt: skip
    ifd = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(row))
    return head + row + struct.pack("<H", len(tags)) + ifd + bytes(4)


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_nodata_and_labels_of_few_bits_are_as_they_are_stored(bits, photometric):
    data = packed_tiff(bits, range(4), photometric)
    with pytest.warns(UserWarning, match=r"1 of 4 pixels \(25.0%\)"):
        gray = read_infrared(data).astype(int)
    level = 255 // (2**bits - 1)
    shown = np.arange(3) * level if photometric else 255 - np.arange(3) * level
    np.testing.assert_array_equal(gray, [[*shown, shown.min()]])
    np.testing.assert_array_equal(read_label_values(data, "a.tif"), [range(4)])


def test_labels_of_one_bit_are_as_they_are_stored():
    data = packed_tiff(1, [0, 1, 1, 0], photometric=0)
    np.testing.assert_array_equal(read_label_values(data, "a.tif"), [[0, 1, 1, 0]])


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs is installed")
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_without_imagecodecs(bits):
    with pytest.raises(UnreadableImageError, match=f"packed {bits}-bit TIFF: pip install image"):
        read_infrared(packed_tiff(bits, [1, 2, 3]))


def test_a_value_that_the_type_cannot_hold_marks_nothing():
    for tag in ("-9999", "0.5", "70000"):
        data = with_border(1000, "uint16", tag)
        np.testing.assert_array_equal(
            read_infrared(data, value_range=RAW_RANGE), np.where(BORDER, 0, GRAY)
        )


def test_a_tag_that_is_no_number_is_told():
    data = tiff_bytes(RAW.astype(np.uint16), extratags=[(42113, "s", 0, "none", True)])
    with pytest.warns(UserWarning, match="GDAL_NODATA tag that is no number is left aside: 'none'"):
        gray = read_infrared(data, value_range=RAW_RANGE)
    np.testing.assert_array_equal(gray, GRAY)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_a_transparency_mask_inside_the_tiff(kind):
    pixels = GRAY if kind == "uint8" else RAW.astype(kind)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(pixels)
        writer.write(~BORDER, subfiletype=4, photometric="minisblack")
    with pytest.warns(UserWarning, match=f"{BORDER.sum()} of {BORDER.size} pixels") as caught:
        gray = read_infrared(buffer.getvalue(), value_range=RAW_RANGE)
    assert len(caught) == 1  # the mask is no second frame
    np.testing.assert_array_equal(gray[:, 12:], GRAY[:, 12:])
    assert (gray[:, :12] == GRAY[:, 12:].min()).all()


def test_tiles_that_gdal_left_out_hold_no_measurement():
    data = bytearray(tiff_bytes(
        np.where(np.arange(48) < 16, 0, 1000 + np.arange(48) * np.ones((16, 1))).astype(np.uint16),
        tile=(16, 16), extratags=[(42113, "s", 0, "0", True)],
    ))  # fmt: skip
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        for tag in ("TileOffsets", "TileByteCounts"):
            entry = tiff.pages[0].tags[tag]
            size = {3: 2, 4: 4}[entry.dtype]
            data[entry.valueoffset : entry.valueoffset + size] = bytes(size)
    with pytest.warns(UserWarning, match="256 of 768 pixels"):
        gray = read_infrared(bytes(data), percentiles=(0, 100))
    assert gray[0, 16] == 0 and gray[0, 47] == 255 and (gray[:, :16] == 0).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_an_image_without_a_measurement_is_refused(kind):
    data = tiff_bytes(np.full((20, 30), 7, kind), extratags=[(42113, "s", 0, "7", True)])
    with pytest.raises(UnreadableImageError, match="x: none of its 600 pixels holds a measurement"):
        read_infrared(data, name="x")


def test_png_of_size_zero():
    header = b"IHDR" + struct.pack(">IIBBBBB", 0, 9, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    data += struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IEND\xae\x42\x60\x82"
    with pytest.raises(UnreadableImageError, match=r"damaged \(SyntaxError: not identified"):
        read_infrared(data)


def test_jpeg_of_12_bits():
    data = bytearray(WHOLE["JPEG"])
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnreadableImageError, match="cannot handle 12-bit layers"):
        read_infrared(bytes(data))


def test_too_many_channels():
    data = tiff_bytes(
        np.zeros((20, 20, 5), np.uint16), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(UnreadableImageError, match="not one image of 1 to 4 channels"):
        read_infrared(data)


def test_16_bit_palette_indices_are_not_taken_for_gray():
    colormap = np.zeros((3, 65536), np.uint16)
    data = tiff_bytes(RAW.astype(np.uint16), photometric="palette", colormap=colormap)
    with pytest.raises(UnreadableImageError, match="16-bit TIFF of kind PALETTE"):
        read_infrared(data)


def test_damaged_bytes_never_escape_as_another_error():
    rng = np.random.default_rng(0)
    for data in WHOLE.values():
        for _ in range(20):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, min(200, len(damaged)), 3)] = rng.integers(0, 256, 3)
            try:
                gray, _ = decode_infrared(damaged.tobytes(), "x")
            except UnreadableImageError:
                continue
            assert gray.dtype == np.uint8
            assert gray.ndim == 2


def test_error_crosses_processes():
    error = UnreadableImageError("a.png: empty file. Remove it.", "empty file")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.reason) == (str(error), "empty file")


@pytest.mark.parametrize(
    ("value_range", "percentiles"),
    [((5, 5), (0, 100)), ((0, float("nan")), (0, 100)), (None, (5, 5)), (None, (-1, 99))],
)
def test_scaling_that_cannot_be(value_range, percentiles):
    with pytest.raises(ValueError, match="must be"):
        Scaling(value_range, percentiles)
    with pytest.raises(ValueError, match="must be"):
        read_infrared(png_bytes(GRAY), value_range=value_range, percentiles=percentiles)


def test_real_files_of_every_mode(data_root):
    by_mode = {}
    for path in sorted((data_root / "sirst_v2" / "mixed").glob("*.png")):
        with Image.open(path) as image:
            by_mode.setdefault(image.mode, path)
    assert {"L", "RGB", "RGBA", "P"} <= set(by_mode)
    for path in by_mode.values():
        gray, _ = decode_infrared(path.read_bytes(), str(path))
        with Image.open(path) as image:
            expected = np.array(image.convert("RGB").convert("L"))
        assert np.abs(gray.astype(int) - expected).max() <= 1
