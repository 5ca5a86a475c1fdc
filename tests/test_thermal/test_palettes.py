"""Coloured thermal pictures, back to what their colours stand for."""

import cv2
import numpy as np
import pytest

from mmspec.thermal.palettes import PALETTES, colours, find_palette, to_scalar

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
    for picture in (photo, night, tinted.astype(np.uint8), np.repeat(gray[..., None], 3, 2)):
        assert find_palette(picture, KNOWN) is None


def test_unknown_palettes_are_named():
    with pytest.raises(ValueError, match="palette='ironbow': iron, rainbow"):
        colours("ironbow")


def test_photos_of_streets_are_coloured_by_no_palette(data_root):
    folders = ("roadscene/crop_LR_visible", "msrs_det/MSRS/train/vi", "msrs_det/MSRS/test/vi")
    files = [file for folder in folders for file in (data_root / folder).glob("*")]
    assert len(files) == 202
    assert not [f.name for f in files if find_palette(cv2.imread(str(f)), KNOWN)]


def test_table_of_correlations(data_root):
    """The table of docs/data.md: ``pytest tests/test_thermal/test_palettes.py -k table -s``."""
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
