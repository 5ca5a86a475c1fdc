"""Coloured thermal pictures, back to what their colours stand for."""

import struct
import warnings

import cv2
import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

import mmspec
from mmspec.datasets import InfraredFolder, RGBTFolder
from mmspec.datasets.image_io import decode_infrared, read_infrared
from mmspec.thermal import UnreadableImageError
from mmspec.thermal.palettes import PALETTES, colours, find_palette, to_scalar
from mmspec.thermal.scaling import Scaling

KNOWN = {name: colours(name) for name in PALETTES}

NOT_BY_LUMA = {"rainbow", "rainbow_hc", "jet", "turbo", "opencv_rainbow"}


def scene(seed=0, size=(120, 160)) -> np.ndarray:
    """Smooth surfaces with edges, noise and most levels."""
    rng = np.random.default_rng(seed)
    gray = cv2.resize(rng.random((8, 10), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    gray += 0.5 * (cv2.resize(rng.random((5, 6), np.float32), size[::-1], interpolation=0) > 0.6)
    gray += 0.01 * rng.standard_normal(size, dtype=np.float32)
    return cv2.normalize(gray, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def compressed(picture: np.ndarray) -> np.ndarray:
    """Through JPEG of quality 90 with chroma at half the size, OpenCV's default."""
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel().astype(float), other.ravel())[0, 1])


@pytest.mark.parametrize("name", PALETTES)
def test_each_palette_is_found_and_undone(name):
    gray = scene()
    picture = KNOWN[name][gray]
    assert find_palette(picture, KNOWN) == find_palette(compressed(picture), KNOWN) == name
    exact, lossy = to_scalar(picture, KNOWN[name]), to_scalar(compressed(picture), KNOWN[name])
    assert exact.dtype == np.uint8 and exact.shape == gray.shape
    assert np.abs(exact.astype(int) - gray).mean() < 1  # viridis, the shortest line: 0.75
    assert correlation(exact, gray) > 0.998 and correlation(lossy, gray) > 0.98


def test_a_logo_a_scale_bar_and_text_do_not_hide_the_palette():
    gray = scene()
    picture = KNOWN["iron"][gray]
    picture[4:16, 4:40] = (255, 255, 255)
    picture[10:110, 150:156] = np.linspace(255, 0, 100, dtype=np.uint8)[:, None, None]
    cv2.putText(picture, "23.4 C", (60, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 2)
    assert find_palette(compressed(picture), KNOWN) == "iron"
    rest = np.s_[30:, :140]
    assert correlation(to_scalar(picture, KNOWN["iron"])[rest], gray[rest]) > 0.999


def test_what_no_palette_coloured():
    gray = scene()
    rng = np.random.default_rng(0)
    photo = np.stack([scene(seed) for seed in (1, 2, 3)], -1)
    night = (photo // 8).astype(np.uint8)
    tinted = np.clip(gray[..., None] + rng.integers(-9, 9, (*gray.shape, 3)), 0, 255)
    even = np.full((60, 80, 3), KNOWN["jet"][100], np.uint8)
    for picture in (photo, night, even, tinted.astype(np.uint8), np.repeat(gray[..., None], 3, 2)):
        assert find_palette(picture, KNOWN) is None


def test_unknown_palettes_are_named():
    with pytest.raises(ValueError, match="palette='ironbow': iron, rainbow"):
        colours("ironbow")


def written(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def test_what_a_reader_makes_of_colours(tmp_path):
    gray = scene()
    path = written(tmp_path / "a.png", KNOWN["rainbow"][gray])
    with pytest.warns(UserWarning, match=r"a\.png: coloured by a palette.* rainbow$") as caught:
        found = read_infrared(path)
    assert len(caught) == 1 and np.abs(found.astype(int) - gray).mean() < 1
    with pytest.warns(UserWarning, match="rainbow"):
        np.testing.assert_array_equal(mmspec.read_thermal(path).values, found)
    with pytest.warns(UserWarning, match="rainbow"):
        np.testing.assert_array_equal(read_infrared(path, palette="rainbow"), found)
    with pytest.warns(UserWarning, match=r"a\.png: a colour image, converted to gray by luma"):
        luma = read_infrared(path, palette=None)
    np.testing.assert_array_equal(luma, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY))
    with pytest.raises(UnreadableImageError, match=r"a\.png: a colour image, .*refuse"):
        read_infrared(path, palette="refuse")
    with pytest.raises(UnreadableImageError, match=r"a\.png: its colours .* palette='iron'"):
        read_infrared(path, palette="iron")
    with pytest.raises(ValueError, match=r"palette must be one of .*'iron'.* got 'ironbow'"):
        read_infrared(path, palette="ironbow")


@pytest.mark.parametrize("palette", ["auto", None, "refuse", "iron"])
def test_gray_pictures_stay_as_they_are(palette, monkeypatch):
    monkeypatch.setattr("mmspec.thermal.read.gray_of_colours", None)  # costs nothing
    gray = scene()
    for suffix in (".png", ".jpg"):
        one, three = (
            cv2.imencode(suffix, x)[1].tobytes() for x in (gray, cv2.merge([gray, gray, gray]))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            levels = read_infrared(three, palette=palette)
        np.testing.assert_array_equal(levels, read_infrared(one, palette=palette))


def test_a_cold_scene_of_few_colours_by_the_palette_that_is_named():
    picture = KNOWN["iron"][np.zeros((60, 80), np.uint8)]
    picture[20:24, 20:24] = KNOWN["iron"][140]
    assert find_palette(picture, KNOWN) is None
    assert decode_infrared(picture)[1][0].startswith("a colour image")
    with pytest.warns(UserWarning, match="iron"):
        levels = read_infrared(picture, palette="iron")
    assert levels[22, 22] == 140 and np.median(levels) == 0


def test_deep_colours_are_of_no_palette():
    deep = KNOWN["iron"][scene()].astype(np.uint16) * 100
    assert decode_infrared(deep)[1][0].startswith("a colour image")
    with pytest.raises(UnreadableImageError, match="palette='iron'"):
        read_infrared(deep, palette="iron")


def test_a_folder_says_its_palette_once_whatever_worker_reads_it(tmp_path):
    grays = [scene(seed, (48, 64)) for seed in range(6)]
    for number, gray in enumerate(grays):
        written(tmp_path / "ir" / f"{number}.png", KNOWN["iron"][gray])
        written(tmp_path / "rgb" / f"{number}.png", np.stack([gray, gray // 2, gray // 3], -1))
    np.save(tmp_path / "ir" / "clip.npy", KNOWN["iron"][np.stack(grays)])
    load = dict(type="mmspec.LoadInfraredImageFromFile")
    folder = InfraredFolder(str(tmp_path / "ir"), pipeline=[load])
    loader = DataLoader(folder, None, sampler=DefaultSampler(folder, shuffle=False), num_workers=2)
    with pytest.warns(UserWarning, match="palette") as caught:
        images = [sample["img"] for sample in folder]
    assert [str(w.message).partition(": ")[2] for w in caught] == [
        "coloured by a palette, which is undone: iron (said once)"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_workers = [np.asarray(sample["img"]) for sample in loader]
    for image, again, gray in zip(images, in_workers, grays * 2, strict=True):
        assert np.abs(image.astype(int) - gray).mean() < 1
        np.testing.assert_array_equal(image, again)
    assert folder.metainfo["infrared_scale"] == {}

    load = dict(type="mmspec.LoadRGBTImageFromFile")
    settings = dict(pipeline=[load], infrared="ir", visible="rgb", frame_step=0)
    with pytest.warns(UserWarning, match="iron"):
        pair = RGBTFolder(str(tmp_path), **settings)[0]["img"]
    np.testing.assert_array_equal(pair[..., 0], images[0])
    refusing = RGBTFolder(str(tmp_path), infrared_scale=dict(palette="refuse"), **settings)
    assert refusing.metainfo["infrared_scale"] == dict(palette="refuse")
    with pytest.raises(UnreadableImageError, match=r"ir/0\.png: a colour image.* partner of .*rgb"):
        refusing[0]


def flir_jpeg(picture: np.ndarray, entries: np.ndarray, name: bytes) -> bytes:
    """A FLIR JPEG without counts, whose record 34 is a palette (N, 3) of blue, green, red."""
    studio = cv2.cvtColor(entries[:, None], cv2.COLOR_BGR2YCrCb)[:, 0].astype(float)
    studio = np.rint((studio - [0, 128, 128]) * [219, 224, 224] / 255 + [16, 128, 128])
    record = bytes([len(entries)]).ljust(80, b"\0") + name.ljust(32, b"\0")
    record += studio.astype(np.uint8).tobytes()
    header = b"FFF\0" + bytes(16) + struct.pack(">III", 100, 64, 1) + bytes(32)
    block = header + struct.pack(">HHIIII12x", 34, 0, 100, 1, 96, len(record)) + record
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    app1 = b"FLIR\0\x01\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + data[2:]


def test_the_palette_that_a_flir_file_brings():
    gray = scene()
    entries = KNOWN["viridis"][:, ::-1][::-1]  # none that is known
    file = flir_jpeg(entries[gray], entries[::2], b"Ours")
    with pytest.warns(UserWarning, match="undone: Ours, the file's own"):
        levels = read_infrared(file)
    assert correlation(levels, gray) > 0.99
    other = flir_jpeg(KNOWN["iron"][gray], entries[::2], b"Ours")
    with pytest.warns(UserWarning, match="undone: iron"):
        read_infrared(other)
    for cut in (40, 120):  # a damaged block: the picture is there all the same
        with pytest.warns(UserWarning, match="undone: iron"):
            read_infrared(other[:cut] + bytes(60) + other[cut + 60 :], unit="gray")


def test_the_palettes_of_real_flir_files(data_root):
    found = {}
    for file in sorted((data_root / "radiometric" / "flir_jpeg").glob("*.jpg")):
        remarks = decode_infrared(file, scaling=Scaling(unit="gray"))[1]
        remarks = [remark.partition("undone: ")[2] or remark[:14] for remark in remarks]
        found.setdefault("".join(remarks), []).append(file.stem[:4])
    assert found == {
        "Rainbow, the file's own": ["01_-"],
        "Iron, the file's own": ["03_-", "06_-", "10_-", "11_-", "12_-", "15_-"],
        "a colour image": ["05_-"],  # a picture in a visible one
        "Rainbow HC, the file's own": ["FLIR"],
        "": ["snap"] * 4,
    }


def test_what_is_undone_is_what_the_camera_measured(data_root):
    ranks = {}
    for number in ("01", "10", "15", "FLIR_AX8"):
        (file,) = (data_root / "radiometric" / "flir_jpeg").glob(f"{number}*.jpg")
        scales = (Scaling(unit="counts"), Scaling(unit="gray"), Scaling(unit="gray", palette=None))
        grays = [decode_infrared(file, scaling=scale)[0] for scale in scales]
        # A part without text, smoothed over the edges of the visible picture that are drawn in.
        parts = [cv2.blur(cv2.resize(gray, (160, 160)), (5, 5))[40:130, 10:140] for gray in grays]
        orders = [part.ravel().argsort(kind="stable").argsort() for part in parts]
        ranks[number] = correlation(orders[0], orders[1]), correlation(orders[0], orders[2])
    assert min(undone for undone, _ in ranks.values()) > 0.95
    assert ranks["FLIR_AX8"][1] < 0.75  # Rainbow HC; luma of the others rises with temperature


def test_photos_of_streets_are_coloured_by_no_palette(data_root):
    folders = ("roadscene/crop_LR_visible", "msrs_det/MSRS/train/vi", "msrs_det/MSRS/test/vi")
    files = [file for folder in folders for file in (data_root / folder).glob("*")]
    assert len(files) == 202
    assert not [f.name for f in files if find_palette(cv2.imread(str(f)), KNOWN)]


def test_table_of_correlations(data_root):
    """The table of docs/thermal_data.md; ``-k table -s`` prints it."""
    files = sorted((data_root / "inf_mini" / "images").glob("*/*.jpg"))[::85]
    grays = [gray for file in files if (gray := cv2.imread(str(file), 0)).std() >= 10]
    lines = [f"| {len(grays)} images | inverse | luma | inverse, JPEG | luma, JPEG |"]
    for name, entries in KNOWN.items():
        rows = []
        for gray in grays:
            rows.append([])
            for picture in (entries[gray], compressed(entries[gray])):
                luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
                ways = to_scalar(picture, entries), luma
                rows[-1] += [correlation(way, gray) for way in ways]
        means = np.mean(rows, 0)
        assert means[0] > 0.998 and means[2] > 0.985
        # Luma is as good where it rises all along the palette, and none where it does not.
        falls = (np.diff(cv2.cvtColor(entries[None], cv2.COLOR_BGR2GRAY)[0].astype(int)) < -2).any()
        assert falls == (name in NOT_BY_LUMA) and (max(means[[1, 3]]) < 0.75) == falls
        lines.append(f"| {name} | " + " | ".join(f"{mean:.4f}" for mean in means) + " |")
    print("", *lines, sep="\n")
