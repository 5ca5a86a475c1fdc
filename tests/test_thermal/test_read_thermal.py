"""Radiometric files against known temperatures and counts, and what becomes of damaged ones."""

import struct
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import tifffile
from layouts import fff
from PIL import Image

import mmspec
from mmspec.datasets.image_io import image_size, read_infrared
from mmspec.datasets.transforms import LoadInfraredImageFromFile
from mmspec.thermal import ThermalImage, UnreadableImageError, dji, flir, recordings
from mmspec.thermal.read import decode
from mmspec.thermal.recordings import FlirRecording


@pytest.fixture
def radiometric(data_root):
    if not (data_root / "radiometric").is_dir():
        pytest.skip(f"no folder {data_root / 'radiometric'}")
    return data_root / "radiometric"


def test_temperatures_are_those_of_the_cameras_own_software(radiometric):
    pytest.importorskip("flyr")
    files = sorted((radiometric / "celsius").glob("*.npz"))
    assert len(files) == 12
    for file in files:
        with pytest.warns() if "Aqua" in file.stem else nullcontext():
            image = mmspec.read_thermal(radiometric / "flir_jpeg" / f"{file.stem}.jpg")
        expected = np.load(file)["celsius"]
        assert (image.unit, image.values.dtype) == ("celsius", np.float32)
        assert image.values.shape == expected.shape
        assert np.abs(image.values - expected).max() < 1e-3


def test_an_image_prints_itself_in_a_line():
    absent = np.array([[False, True]])
    image = ThermalImage(np.float32([[20.5, np.nan]]), "celsius", 1, "a TIFF", absent)
    told = "ThermalImage(1 x 2 float32 20.5 to 20.5 celsius, a TIFF, frames=1)"
    assert repr(image) == told


def test_a_range_that_cannot_be_is_told(radiometric):
    pytest.importorskip("flyr")
    with pytest.warns(UserWarning, match=r"-68\.1 to -0\.2 Celsius: its constants may be wrong"):
        mmspec.read_thermal(radiometric / "flir_jpeg" / "05_-_Aqua_Tower_thermal_image.jpg")


def test_parameters_of_the_scene_replace_those_of_the_file(radiometric):
    pytest.importorskip("flyr")
    path = radiometric / "flir_jpeg" / "snap-2022-08-03T13-48-18.19.jpg"
    one, other = mmspec.read_thermal(path), mmspec.read_thermal(path, emissivity=0.5)
    assert other.values.max() > one.values.max() + 5
    with pytest.raises(TypeError, match="unknown emmisivity; known: emissivity, object_distance"):
        mmspec.read_thermal(path, emmisivity=0.5)
    for given, message in (
        (dict(emissivity=90), "emissivity=90: a share, above 0"),
        (dict(relative_humidity=50), "relative_humidity=50: a share, 0 to 1"),
        (dict(object_distance=-1), "object_distance=-1: metres, 0 or more"),
        (dict(atmospheric_temperature=20), "atmospheric_temperature=20: kelvin"),
    ):
        with pytest.raises(ValueError, match=message):
            mmspec.read_thermal(path, **given)


def test_humidity_in_percent_and_a_distance_that_cannot_be(radiometric, tmp_path):
    pytest.importorskip("flyr")
    data = bytearray((radiometric / "seq" / "SampleSEQ.seq").read_bytes())
    start, _ = flir.parse(bytes(data)).records[flir.CAMERA_INFO]
    data[start + 36 : start + 40] = struct.pack("<f", 20.0)  # metres
    found = []
    for humidity in (0.5, 50.0):
        data[start + 60 : start + 64] = struct.pack("<f", humidity)
        (tmp_path / f"{humidity}.seq").write_bytes(data)
        found.append(mmspec.read_thermal(tmp_path / f"{humidity}.seq").values)
    np.testing.assert_array_equal(*found)
    data[start + 36 : start + 40] = struct.pack("<f", -1.0)
    (tmp_path / "bad.seq").write_bytes(data)
    with pytest.raises(UnreadableImageError, match=r"bad\.seq.*temperatures by its constants"):
        mmspec.read_thermal(tmp_path / "bad.seq")


def test_frames_of_a_recording(radiometric):
    path = radiometric / "seq" / "SampleSEQ.seq"
    first, last = (mmspec.read_thermal(path, "counts", frame) for frame in (0, -1))
    assert first.frames == 2 and first.values.shape == (480, 640)
    assert first.values.dtype == np.uint16 and not np.array_equal(first.values, last.values)
    assert [len(FlirRecording(path)), sum(1 for _ in FlirRecording(path))] == [2, 2]
    with pytest.raises(UnreadableImageError, match=r"SampleSEQ.seq: no frame 2: it has 2"):
        mmspec.read_thermal(path, frame=2)
    # The file beside it, called counts, holds temperatures as float32.
    known = np.fromfile(path.with_name("SampleSEQ_W640_H480_F2_u16.raw"), "<f4")
    pytest.importorskip("flyr")
    for number, expected in enumerate(known.reshape(2, 480, 640)):
        assert np.abs(mmspec.read_thermal(path, frame=number).values - expected).max() < 1e-3


def test_one_mapping_of_a_recording_is_by_counts_as_its_frames_are(radiometric):
    path = radiometric / "seq" / "SampleSEQ.seq"
    load = LoadInfraredImageFromFile(infrared_scale=dict(sequence=True))
    for index in (0, 1):
        assert 50 < load(dict(img_path=f"{path}#{index}"))["img"].mean() < 200


def test_counts_of_dji_as_many_as_pixels(radiometric):
    path = radiometric / "dji" / "H20N_DJI_0001_R.JPG"
    image = mmspec.read_thermal(path, "counts")
    assert image.values.shape == (512, 640) and image.unit == "counts"
    # Neighbours are alike, so rows and byte order are right.
    assert np.abs(np.diff(image.values.astype(int), axis=0)).mean() < 20 < image.values.std()
    with pytest.warns(UserWarning, match="counts, not temperatures"):
        mmspec.read_thermal(path)
    with pytest.raises(UnreadableImageError, match="Thermal SDK"):
        mmspec.read_thermal(path, "celsius")
    with pytest.raises(UnreadableImageError, match="bytes of counts for a picture"):
        dji.counts(path.read_bytes().replace(b"\xff\xe3\x00\x2a", b"\xff\xe2\x00\x2a"))


@pytest.mark.parametrize("order", "<>")
def test_either_byte_order_of_the_directory(order):
    values = np.arange(12, dtype="<u2").reshape(3, 4)
    assert np.array_equal(flir.counts(flir.parse(fff(values.tobytes(), 4, 3, order))), values)


def test_frames_in_jpeg_ls():
    codec = pytest.importorskip("imagecodecs")
    values = np.random.default_rng(0).integers(0, 2**14, (30, 40), dtype=np.uint16)
    block = flir.parse(fff(codec.jpegls_encode(values), 40, 30))
    assert np.array_equal(flir.counts(block), values)


def test_a_recording_cut_in_a_frame_leaves_it_out_and_says_so(tmp_path, caplog):
    whole = fff(np.full((3, 4), 7, "<u2").tobytes(), 4, 3)
    path = tmp_path / "cut.seq"
    path.write_bytes(whole + whole[:-5])
    assert len(FlirRecording(path)) == 1
    assert f"{path}: frame 1, at byte {len(whole)}, is not whole (5 bytes" in caplog.text
    path.write_bytes(whole[:-5])
    with pytest.raises(UnreadableImageError, match="cut.seq: no whole FLIR frame: 5 bytes of it"):
        FlirRecording(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be opened"),
        (b"RIFF" + bytes(200), "no FLIR frame begins here"),
        (b"FFF\0" + bytes(100), "unknown version 0"),
        (fff(b"", 4, 3)[:90], "the frame's directory is cut"),
        (fff(b"", 4, 3)[:76] + bytes(52), "a FLIR frame without records"),
        (fff(b"", 4, 3), "0 bytes of counts where 24 belong"),
        (fff(bytes(24), 60000, 3), "60000 x 3 pixels: the record is damaged"),
        (fff(b"\x89PNG" + bytes(40), 4, 3), "its PNG of counts is cut or damaged"),
    ],
)
def test_damaged_recordings_are_named(content, message, tmp_path):
    path = tmp_path / "bad.seq"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"bad\.seq: .*{message}"):
        mmspec.read_thermal(path, "counts")


def test_a_radiometric_jpeg_without_one_of_its_parts(radiometric, tmp_path):
    data = (radiometric / "flir_jpeg" / "10_-_IR_Fussbodenheizung.jpg").read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(data.replace(b"FLIR\0\x01\x01\x02", b"FLYR\0\x01\x01\x02"))
    with pytest.raises(UnreadableImageError, match=r"cut\.jpg: 2 of 3 segments are there"):
        mmspec.read_thermal(path)


def saved(path, values, **options):
    """Write an array as its file's suffix says."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, **options, values=values)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="minisblack", **options)
    else:
        assert cv2.imwrite(str(path), values)
    return path


EIGHT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


@pytest.mark.parametrize(
    ("name", "values", "unit"),
    [
        ("a.png", EIGHT, "gray"),
        ("a.bmp", EIGHT, "gray"),
        ("a.tif", EIGHT, "gray"),
        ("a.npy", EIGHT, "gray"),
        ("a.png", EIGHT.astype(np.uint16) * 99, "counts"),
        ("a.tif", EIGHT.astype(np.uint16) * 99, "counts"),
        ("a.tif", EIGHT.astype(np.float32) / 7, "counts"),
        ("a.tif", EIGHT.astype(np.int16) - 100, "counts"),
        ("a.npy", EIGHT.astype(np.float64) / 7, "counts"),
        ("a.npz", EIGHT.astype(np.uint16), "counts"),
    ],
)
def test_any_picture_comes_with_its_values_and_unit(tmp_path, name, values, unit):
    image = mmspec.read_thermal(saved(tmp_path / name, values))
    assert (image.unit, image.frames) == (unit, 1)
    assert image.values.dtype == (values.dtype if values.dtype.kind == "u" else np.float32)
    np.testing.assert_array_equal(image.values, values.astype(image.values.dtype))
    if unit == "gray":
        for other in ("counts", "celsius"):
            with pytest.raises(UnreadableImageError, match=rf"{name}: no {other} in it, uint8"):
                mmspec.read_thermal(tmp_path / name, other)


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_frames_of_a_stack(tmp_path, suffix, kind):
    stack = np.stack([EIGHT, EIGHT + 1, EIGHT + 2]).astype(kind)
    stack = np.pad(stack, ((0, 0), (0, 9), (0, 9)))
    path = saved(tmp_path / f"a{suffix}", stack)
    for index in (0, 1, 2, -1):
        image = mmspec.read_thermal(path, frame=index)
        assert image.frames == 3
        np.testing.assert_array_equal(image.values, stack[index])
    with pytest.raises(UnreadableImageError, match=rf"a{suffix}: no frame 3: it has 3"):
        mmspec.read_thermal(path, frame=3)


@pytest.mark.parametrize("imagej", [False, True])
def test_a_stack_that_lists_one_image_is_refused(tmp_path, imagej):
    path = tmp_path / "a.tif"
    stack = np.stack([EIGHT] * 5)
    tifffile.imwrite(path, stack, imagej=imagej, truncate=True, photometric="minisblack")
    with pytest.raises(UnreadableImageError, match=r"a\.tif: a stack \(5, 3, 4\) .* save tifffile"):
        mmspec.read_thermal(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("channels", [1, 3])
def test_frames_of_channels_are_frames_for_each_reader(tmp_path, suffix, channels):
    stack = np.repeat(np.stack([EIGHT, EIGHT + 1])[..., None], channels, axis=3)
    path = saved(tmp_path / f"a{suffix}", stack)
    assert len(recordings.open_recording(path)) == 2
    for index in (0, 1):
        image = mmspec.read_thermal(path, frame=index)
        assert image.frames == 2
        np.testing.assert_array_equal(image.values, stack[index, ..., 0])


@pytest.mark.filterwarnings("ignore:.*(hold no measurement|a range is for deeper files)")
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_pages_by_their_number_keep_what_holds_no_measurement(tmp_path, kind):
    stack = np.stack([EIGHT, EIGHT]).astype(kind)
    stack[:, 2, 3] = 7
    path = saved(tmp_path / "a.tif", stack, extratags=[(42113, "s", 0, "7", False)])
    scale = dict(nodata_level=200, range=(0, 255))
    load = LoadInfraredImageFromFile(infrared_scale=scale, min_size=1)
    for name in (str(path), f"{path}#1"):
        image = load(dict(img_path=name))["img"]
        np.testing.assert_array_equal(image, np.where(stack[0] == 7, 200, EIGHT))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_compressed_pages_and_their_turn(tmp_path, compression):
    """LZW is read without imagecodecs too."""
    pages = [Image.fromarray(EIGHT.astype(np.uint16) * 9 + i) for i in range(2)]
    pages[0].save(
        tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression=compression,
        tiffinfo={274: 3},
    )  # fmt: skip
    for index, page in enumerate(pages):
        values = mmspec.read_thermal(tmp_path / "a.tif", frame=index).values
        np.testing.assert_array_equal(values, np.rot90(np.array(page), 2))


def test_compressed_pages_of_16_bit_colour_keep_their_depth(tmp_path):
    page = np.repeat(EIGHT.astype(np.uint16)[..., None] * 200, 3, 2)
    cv2.imwritemulti(str(tmp_path / "a.tif"), [page, page + 1])  # by LZW
    for index in (0, 1):
        values = mmspec.read_thermal(tmp_path / "a.tif", frame=index).values
        assert values.dtype == np.uint16
        np.testing.assert_array_equal(values, page[..., 0] + index)


def test_pixels_without_a_measurement_are_marked(tmp_path):
    values = EIGHT.astype(np.float64)
    values[1, 2] = -9999
    tags = [(42113, "s", 0, "-9999", True)]
    path = saved(tmp_path / "a.tif", values, extratags=tags)
    with pytest.warns(UserWarning, match="hold no measurement"):
        image = mmspec.read_thermal(path)
    assert np.isnan(image.values[1, 2]) and np.isnan(image.values).sum() == 1
    assert image.absent[1, 2] and image.absent.sum() == 1
    path = saved(tmp_path / "b.tif", values.astype(np.int16).astype(np.uint16) % 500, extratags=[
        (42113, "s", 0, str(np.int16(-9999).astype(np.uint16) % 500), True)])  # fmt: skip
    with pytest.warns(UserWarning, match="hold no measurement"):
        image = mmspec.read_thermal(path)
    assert image.values[1, 2] == 0 and image.absent.sum() == 1


def test_celsius_of_floats_is_what_the_reader_or_the_array_says(tmp_path):
    values = EIGHT.astype(np.float32) / 9
    assert mmspec.read_thermal(saved(tmp_path / "a.tif", values), "celsius").unit == "celsius"
    np.savez(tmp_path / "a.npz", celsius=values)
    assert mmspec.read_thermal(tmp_path / "a.npz").unit == "celsius"
    np.savez(tmp_path / "d.npz", celsius=np.stack([values] * 5)[..., None])
    assert decode(recordings.read_frame(f"{tmp_path}/d.npz#3")).unit == "celsius"
    for name in ("a.npz", "d.npz", "d.npz#3"):
        with pytest.raises(UnreadableImageError, match=f"{name}: no counts in it"):
            read_infrared(tmp_path / name, unit="counts")
    path = saved(tmp_path / "b.tif", values.astype(np.uint16))
    with pytest.raises(UnreadableImageError, match=r"b\.tif: no celsius in it, uint16"):
        mmspec.read_thermal(path, "celsius")
    np.savez(tmp_path / "c.npz", a=values, b=values)
    with pytest.raises(UnreadableImageError, match=r"c\.npz: 2 arrays \(a, b\)"):
        mmspec.read_thermal(tmp_path / "c.npz")


def test_the_picture_of_a_radiometric_jpeg(radiometric):
    path = radiometric / "flir_jpeg" / "FLIR_AX8.jpg"
    with pytest.warns(UserWarning, match="undone: Rainbow HC, the file's own"):
        image = mmspec.read_thermal(path, "gray")
    assert (image.unit, image.values.dtype, image.source) == ("gray", np.uint8, "JPEG")
    assert image.values.shape == (480, 640)
    # Loaders take what was measured, here in fewer pixels.
    assert image_size(path) == (80, 60) and read_infrared(path).shape == (60, 80)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (EIGHT + 1j, "pixels of type complex128 are not gray values"),
        (EIGHT > 100, "pixels of type bool"),
        (EIGHT.astype(str), "pixels of type <U3"),
        (EIGHT.astype("M8[s]"), "pixels of type datetime64"),
        (np.zeros((3, 4), "f4,u2"), "pixels of type"),
        (np.zeros((0, 4), np.float32), r"no pixels: an array of shape \(0, 4\)"),
        (np.zeros((3, 0), np.uint8), r"no pixels: an array of shape \(3, 0\)"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, values, reason):
    path = saved(tmp_path / "a.npy", values)
    for read in (mmspec.read_thermal, read_infrared):
        with pytest.raises(UnreadableImageError, match=rf"a\.npy: {reason}"):
            read(path)


def test_counts_of_the_other_byte_order_stay_counts(tmp_path):
    image = mmspec.read_thermal(saved(tmp_path / "a.npy", (EIGHT.astype("u2") * 99).astype(">u2")))
    assert image.values.dtype == np.uint16 and image.values.max() == 220 * 99


def test_constants_that_no_camera_has(tmp_path, radiometric, monkeypatch):
    thermogram = pytest.importorskip("flyr.thermogram")

    def divides(*_):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(thermogram.FlyrThermogram, "celsius", property(divides))
    with pytest.raises(UnreadableImageError, match=r"SampleSEQ\.seq: .*float division by zero"):
        mmspec.read_thermal(radiometric / "seq" / "SampleSEQ.seq")


def test_what_changes_nothing_is_refused(tmp_path):
    path = saved(tmp_path / "plain.jpg", EIGHT)
    with pytest.raises(FileNotFoundError, match="no file"):
        mmspec.read_thermal(tmp_path / "absent.jpg")
    with pytest.raises(ValueError, match="unit='kelvin'"):
        mmspec.read_thermal(path, "kelvin")
    with pytest.raises(ValueError, match="emissivity: counts do not depend on the scene"):
        mmspec.read_thermal(path, "counts", emissivity=0.9)
    with pytest.raises(ValueError, match=r"plain\.jpg: emissivity: of temperatures in FLIR's"):
        mmspec.read_thermal(path, emissivity=0.9)
    with pytest.raises(ValueError, match=r"plain\.jpg: frame=3 of a file that holds one"):
        mmspec.read_thermal(path, frame=3)


def test_prediction_takes_a_recording_frame_by_frame(tmp_path):
    from mmspec.apis import Inputs

    frames = [np.full((3, 4), level, "<u2") for level in (7000, 7100)]
    path = tmp_path / "a.seq"
    path.write_bytes(b"".join(fff(frame.tobytes(), 4, 3) for frame in frames))
    found = list(Inputs(str(tmp_path)))
    assert [frame.name for frame in found] == ["a/000000", "a/000001"]
    values = [decode(*frame.pixels).values for frame in found]
    assert [int(frame.max()) for frame in values] == [7000, 7100]
    broken = []
    (tmp_path / "b.seq").write_bytes(b"none")
    assert len(list(Inputs(str(tmp_path), broken=broken))) == 2
    assert broken[0].path.endswith("b.seq") and "no FLIR frame begins here" in broken[0].reason


def test_temperatures_without_flyr_name_the_file(radiometric, monkeypatch):
    monkeypatch.setattr(flir, "has_flyr", lambda: False)
    with pytest.raises(ImportError, match=r"SampleSEQ\.seq: temperatures need flyr"):
        mmspec.read_thermal(radiometric / "seq" / "SampleSEQ.seq", "celsius")
