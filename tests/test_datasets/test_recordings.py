"""Recordings as sequences of a folder: counted at the start, decoded a frame at a time."""

import itertools
import os
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts import flir_block
from layouts import write_recording as write
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from mmspec.datasets import InfraredFolder, RGBTFolder
from mmspec.datasets.image_io import UnreadableImageError, image_size, read_infrared
from mmspec.thermal import read_thermal
from mmspec.thermal.recordings import (
    RECORDINGS,
    kept_open,
    open_recording,
    read_frame,
    split_frame,
)

PIPELINE = [dict(type="mmspec.LoadInfraredImageFromFile")]
PAIRS = [dict(type="mmspec.LoadRGBTImageFromFile")]
FRAMES = 6


def frames(count=FRAMES, dtype=np.uint8, size=(48, 64)) -> np.ndarray:
    """(N, H, W), a gradient that each frame turns further, so that each is told from the others."""
    ramp = np.add.outer(np.arange(size[0]), np.arange(size[1])).astype(float)
    stack = np.stack([np.roll(ramp, 10 * i, axis=1) + 20 * i for i in range(count)])
    return (stack / stack.max() * (250 if dtype == np.uint8 else 60000)).astype(dtype)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".seq", np.uint16), (".tif", np.uint16), (".tif", np.uint8), (".npy", np.float32),
        (".npz", np.uint16), (".avi", np.uint8), (".mp4", np.uint8), (".mkv", np.uint8),
        (".mkv", np.uint16),
    ],
)  # fmt: skip
def test_each_frame_by_its_number_in_any_order(tmp_path, suffix, dtype):
    stack = frames(dtype=dtype)
    path = write(tmp_path / f"clip{suffix}", stack)
    recording = open_recording(path)
    assert len(recording) == FRAMES
    assert all(map(np.array_equal, recording, (recording.frame(i) for i in range(FRAMES))))
    lossless = suffix not in (".avi", ".mp4")
    for index in (4, 1, 2, 5, 0, -1):
        found = recording.frame(index)
        found = found if found.ndim == 2 else found[..., 1]
        assert found.dtype == dtype and found.shape == (48, 64)
        apart = np.abs(found.astype(float) - stack[index]).mean()
        assert apart == 0 if lossless else apart < 5
    with pytest.raises(UnreadableImageError, match=rf"clip{suffix}: no frame 6: it has 6"):
        recording.frame(6)


def numbered(index: int) -> np.ndarray:
    """(32, 64) uint8: the number of the frame in dark and bright bars."""
    return np.repeat([230 * (index >> bit & 1) for bit in range(8)], 8).astype(np.uint8) * np.ones(
        (32, 1), np.uint8
    )


def number_of(frame: np.ndarray) -> int:
    return sum(int(frame[16, 8 * bit + 4].mean() > 115) << bit for bit in range(8))


def pause(path, before: int, length: int) -> None:
    """Let a frame of an MP4 last as long as others of them, as a closed shutter does."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"stts")
    count, step = struct.unpack_from(">2I", content, at + 12)
    times = ((before, step), (1, length * step), (count - before - 1, step))
    content[at + 8 : at + 20] = struct.pack(">7I", 3, *itertools.chain(*times))
    for atom in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        start = content.rindex(atom) - 4
        size = struct.unpack_from(">I", content, start)[0]
        struct.pack_into(">I", content, start, size + 16)
    # Its edit list would end the clip where it ended before.
    path.write_bytes(content.replace(b"edts", b"free"))


ORDER = (90, 119, 3, 60, 59, 61, 118, 0, 25)


def test_frames_of_a_changing_rate_are_found_by_their_number(tmp_path):
    path = tmp_path / "clip.mp4"
    write(path, np.stack([numbered(i) for i in range(120)]))
    pause(path, 20, 100)
    recording = open_recording(path)
    assert len(recording) == 120
    assert [number_of(recording.frame(i)) for i in ORDER] == list(ORDER)
    assert [number_of(frame) for frame in recording] == list(range(120))
    for known in (recording, open_recording(shutil.copy(path, tmp_path / "unread.mp4"))):
        found = [known.seconds(i) for i in (20, 21, 119, -1)]
        assert found == pytest.approx([0.8, 4.8, 8.72, 8.72])


@pytest.mark.parametrize("count", [1, 40])
def test_the_last_frame_of_a_file_that_was_passed_to_count_it(tmp_path, count):
    stack = frames(count, np.uint16)
    path = write(tmp_path / "clip.mkv", stack)
    assert np.array_equal(open_recording(path).frame(-1), stack[-1])
    assert np.array_equal(read_thermal(path, frame=-1).values, stack[-1])


def test_frames_that_a_header_counts_and_nobody_sees(tmp_path, caplog):
    stack = np.stack([numbered(i) for i in range(60)])
    hidden, dropped = tmp_path / "hidden.mp4", tmp_path / "dropped.avi"
    content = bytearray(Path(write(hidden, stack)).read_bytes())
    step = struct.unpack_from(">I", content, content.rindex(b"stts") + 16)[0]
    struct.pack_into(">i", content, content.index(b"elst") + 16, 30 * step)  # where it begins
    hidden.write_bytes(content)
    content = bytearray(Path(write(dropped, stack)).read_bytes())
    struct.pack_into("<I", content, content.index(b"strh") + 40, 70)
    dropped.write_bytes(content)
    assert [number_of(frame) for frame in open_recording(hidden)] == list(range(30, 60))
    assert [number_of(frame) for frame in open_recording(dropped)] == list(range(60))
    assert f"{hidden}: its header counts 60 frames, of which 30 can be read" in caplog.text
    assert f"{dropped}: its header counts 70 frames, of which 60 can be read" in caplog.text


@pytest.mark.parametrize("bits", [10, 12])
def test_gray_of_depths_that_opencv_garbles(tmp_path, bits):
    path = tmp_path / "clip.mkv"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"Y800"), 25, (64, 32), False)
    video.write(numbered(1))
    video.release()
    path.write_bytes(path.read_bytes().replace(b"Y800", bytes([*b"Y1", 0, bits])))
    with pytest.raises(UnreadableImageError, match=f"clip.mkv: gray of {bits} bits.*gray16le"):
        open_recording(path)


def test_frames_are_counted_where_the_header_gives_a_length_alone(tmp_path, caplog):
    path = tmp_path / "clip.mkv"
    write(path, np.stack([numbered(i) for i in range(120)]))
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Matroska's Duration, of 8 bytes
    struct.pack_into(">d", content, at, 3 * struct.unpack_from(">d", content, at)[0])
    path.write_bytes(content)
    recording = open_recording(path)
    assert len(recording) == 120 and "end at 4.8 of 14.4 s: cut short" in caplog.text
    assert [number_of(recording.frame(i)) for i in ORDER] == list(ORDER)


@pytest.mark.filterwarnings("ignore")
def test_an_mpeg_file_keeps_its_last_frames(tmp_path):
    path = tmp_path / "clip.mpg"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"PIM1"), 25, (64, 32))
    for i in range(120):
        video.write(np.repeat(numbered(i)[..., None], 3, axis=2))
    video.release()
    recording = open_recording(path)
    assert len(recording) == 120
    assert [number_of(recording.frame(i)) for i in ORDER] == list(ORDER)
    seconds = [recording.seconds(i) for i in range(119)]
    assert seconds == pytest.approx(np.arange(119) / 25)
    assert recording.seconds(119) is None  # OpenCV says 0, as of a frame behind the end


def test_a_folder_samples_the_frames_of_all(tmp_path):
    (tmp_path / "b").mkdir()
    for suffix in (".seq", ".npy", ".mkv"):
        write(tmp_path / "b" / f"clip{suffix}", frames(dtype=np.uint16))
    cv2.imwrite(str(tmp_path / "a.png"), frames()[0])
    np.save(tmp_path / "still.npy", frames(dtype=np.uint16)[3])
    dataset = InfraredFolder(str(tmp_path), pipeline=PIPELINE)
    names = [os.path.relpath(dataset.get_data_info(i)["img_path"], tmp_path) for i in range(20)]
    assert len(dataset) == 20 and (names[0], names[-1]) == ("a.png", "still.npy")
    assert names[1:7] == [f"b/clip.mkv#{i}" for i in range(6)]
    by_name = {name: dataset[i]["img"] for i, name in enumerate(names)}
    assert all(image.shape == (48, 64) and image.dtype == np.uint8 for image in by_name.values())
    for index in range(FRAMES):
        same = [by_name[f"b/clip{suffix}#{index}"] for suffix in (".seq", ".npy", ".mkv")]
        assert np.array_equal(*same[:2]) and np.array_equal(*same[1:])
    assert np.array_equal(by_name["still.npy"], by_name["b/clip.npy#3"])
    every_third = InfraredFolder(str(tmp_path), frame_step=3, pipeline=PIPELINE)
    assert len(every_third) == 2 + 3 * 2
    listed = tmp_path / "list.txt"
    listed.write_text("b/clip.npy#5\nb/clip.seq\na.png\n")
    assert len(InfraredFolder(str(tmp_path), ann_file=str(listed), pipeline=PIPELINE)) == 8


def test_pages_of_a_tiff_are_frames_where_a_step_says_so(tmp_path):
    path = write(tmp_path / "clip.tif", frames())
    assert len(InfraredFolder(str(tmp_path))) == 1
    with pytest.warns(UserWarning, match=r"only the first is read; name one as clip\.tif#12"):
        assert np.array_equal(read_infrared(path), frames()[0])
    dataset = InfraredFolder(str(tmp_path), frame_step=2, pipeline=PIPELINE)
    assert [dataset[i]["img_path"] for i in range(3)] == [f"{path}#{i}" for i in (0, 2, 4)]
    assert np.array_equal(dataset[1]["img"], frames()[2])
    assert image_size(f"{path}#2") == (64, 48)


def test_pages_are_closed_with_their_recording(tmp_path):
    path = write(tmp_path / "clip.tif", frames())
    file = open_recording(path).file
    assert file.filehandle.closed


def test_workers_have_files_of_their_own(tmp_path):
    """Forked processes share the place in a file that was open before."""
    for name in ("one.mkv", "two.tif", "three.avi"):
        write(tmp_path / name, frames(12))
    dataset = InfraredFolder(str(tmp_path), frame_step=1, pipeline=PIPELINE)
    expected = [dataset[i]["img"].copy() for i in range(len(dataset))]
    loader = DataLoader(
        dataset, batch_size=2, num_workers=2, sampler=DefaultSampler(dataset, shuffle=True),
        collate_fn=list, multiprocessing_context="fork",
    )  # fmt: skip
    seen = 0
    for sample in (sample for batch in loader for sample in batch):
        assert np.array_equal(sample["img"], expected[sample["sample_idx"]])
        seen += 1
    assert seen == 36


def test_threads_have_files_of_their_own(tmp_path):
    path = write(tmp_path / "clip.mkv", frames(dtype=np.uint16))
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(kept_open, path).result()
    ours = kept_open(path)
    assert ours is kept_open(path) and ours is not theirs and ours._times is not theirs._times


@pytest.mark.parametrize("suffix", [".npy", ".seq", ".tif", ".mkv"])
def test_a_file_that_changes_while_it_is_open_is_named(tmp_path, suffix):
    path = write(tmp_path / f"clip{suffix}", frames(4, np.uint16))
    recording = open_recording(path)
    recording.frame(0)
    write(tmp_path / f"clip{suffix}", frames(5, np.uint16))
    for read in (recording.frame, recording.content):
        with pytest.raises(UnreadableImageError, match=f"clip{suffix}: changed since it was open"):
            read(0)


def test_what_is_left_out_is_counted_with_the_way_out(tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "a.png"), frames()[0])
    write(tmp_path / "clip.avi", frames())
    for name in ("b.raw", "c.raw", "notes.docx"):
        (tmp_path / name).write_bytes(b"1")
    said = []

    def load(**options):
        from mmspec.datasets import infrared_folder

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(infrared_folder, "print_log", lambda text, *_, **__: said.append(text))
            dataset = InfraredFolder(str(tmp_path), **options)
        text, said[:] = " ".join(said), []
        return len(dataset), text

    count, text = load()
    assert count == 7 and "left out in" in text and "2 .raw, 1 .docx" in text
    assert "1 images and 6 frames of recordings" in text and "convert what should be" in text
    np.save(tmp_path / "still.npy", frames()[0])
    np.save(tmp_path / "stack.npy", frames())
    count, text = load(frame_step=0)
    assert count == 2 and "1 .avi" in text and "1 .npy" in text
    assert "frame_step=1 samples the frames of recordings" in text


@pytest.mark.parametrize("name", ["clip.npy", "clip.avi"])
def test_a_list_that_names_a_recording_where_none_are_wanted(tmp_path, name):
    write(tmp_path / name, frames())
    (tmp_path / "list.txt").write_text(name)
    with pytest.raises(ValueError, match=f"{name}: a recording, for which frame_step=1 asks"):
        InfraredFolder(str(tmp_path), ann_file=str(tmp_path / "list.txt"), frame_step=0)


def broken_file(tmp_path, kind: str) -> str:
    stack = frames(dtype=np.uint16)
    if kind == "cut.seq":
        path = tmp_path / kind
        path.write_bytes(flir_block(stack[0])[:400])
    elif kind == "text.avi":
        path = tmp_path / kind
        path.write_text("no video")
    elif kind == "picture.seq":
        path = tmp_path / kind
        path.write_bytes(cv2.imencode(".png", stack[0])[1].tobytes())
    elif kind == "empty.avi":
        path = tmp_path / kind
        write(path, frames()[:0])
    elif kind == "pipe.mp4":
        os.mkfifo(path := tmp_path / kind)
    elif kind == "words.npy":
        np.save(path := tmp_path / kind, np.array([["a"] * 3] * 3))
    elif kind == "objects.npy":
        np.save(path := tmp_path / kind, np.array([{}, {}]), allow_pickle=True)
    elif kind == "two.npz":
        np.savez(path := tmp_path / kind, one=stack, two=stack)
    elif kind == "cut.npy":
        path = tmp_path / kind
        np.save(path, stack)
        path.write_bytes(path.read_bytes()[:-500])
    return str(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("cut.seq", "no whole FLIR frame: .* bytes of it are missing"),
        ("picture.seq", "no whole FLIR frame: no FLIR frame begins here"),
        ("text.avi", "not a video that OpenCV can read"),
        ("empty.avi", "not a video that OpenCV can read|a video of no frames"),
        ("pipe.mp4", "no regular file"),
        ("words.npy", "no frames: an array"),
        ("objects.npy", "no NumPy file"),
        ("two.npz", r"2 arrays \(one, two\): give one a file"),
        ("cut.npy", "no NumPy file"),
    ],
)
def test_a_bad_recording_is_named_at_the_start(tmp_path, kind, reason):
    path = broken_file(tmp_path, kind)
    with pytest.raises(UnreadableImageError, match=f"{path}: {reason}"):
        InfraredFolder(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="each recording there is broken"):
        InfraredFolder(str(tmp_path), skip_broken=True)
    cv2.imwrite(str(tmp_path / "good.png"), frames()[0])
    assert len(InfraredFolder(str(tmp_path), skip_broken=True)) == 1


def test_a_bad_frame_is_named_when_it_is_loaded(tmp_path):
    stack = frames(dtype=np.float32)
    stack[2] = np.nan
    stack[3, :4] = np.nan
    path = write(tmp_path / "clip.npy", stack)
    dataset = InfraredFolder(str(tmp_path), pipeline=PIPELINE)
    with pytest.raises(UnreadableImageError, match=r"clip\.npy#2: none of its 3,072 pixels holds"):
        dataset[2]
    with pytest.warns(UserWarning, match=rf"{path}#3: pixels that hold no measurement.*256 of"):
        dataset[3]
    clip = tmp_path / "clip.avi"
    write(clip, frames(80))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 9 // 10])
    names = [f"{clip}#{index}" for index in range(len(open_recording(clip)))]
    with pytest.raises(UnreadableImageError, match=r"avi#\d\d: ends after \d\d of 80 frames"):
        list(map(read_frame, names))


def test_a_sequence_that_is_cut_keeps_its_whole_frames(tmp_path, caplog):
    path = tmp_path / "clip.seq"
    path.write_bytes(b"".join(map(flir_block, frames(dtype=np.uint16)))[:-100])
    assert len(InfraredFolder(str(tmp_path))) == FRAMES - 1


def test_pairs_of_recordings(tmp_path):
    for side in ("ir", "rgb"):
        (tmp_path / side).mkdir()
    write(tmp_path / "ir" / "clip.seq", frames(dtype=np.uint16))
    write(tmp_path / "rgb" / "clip.avi", frames())
    dataset = RGBTFolder(str(tmp_path), pipeline=PAIRS, frame_step=2)
    assert len(dataset) == 3
    sample = dataset[1]
    assert sample["img"].shape == (48, 64, 4) and sample["infrared_path"].endswith("clip.seq#2")
    assert sample["visible_path"].endswith("clip.avi#2")
    write(tmp_path / "ir" / "clip.seq", frames(5, dtype=np.uint16))
    with pytest.raises(FileNotFoundError, match="no pair, as each recording is broken or has"):
        len(RGBTFolder(str(tmp_path), pipeline=PAIRS, skip_broken=True))
    reason = r"clip\.seq: 5 frames, its visible partner .*clip\.avi 6 frames: no pair"
    with pytest.raises(UnreadableImageError, match=reason):
        RGBTFolder(str(tmp_path), pipeline=PAIRS)
    os.remove(tmp_path / "rgb" / "clip.avi")
    cv2.imwrite(str(tmp_path / "rgb" / "clip.png"), frames()[0])
    with pytest.raises(UnreadableImageError, match="5 frames, its visible partner .* still image"):
        RGBTFolder(str(tmp_path), pipeline=PAIRS)


def test_names_of_frames():
    assert split_frame("a/clip.SEQ#12") == ("a/clip.SEQ", 12)
    assert split_frame("a#1.png") is None and split_frame("a.png#1") is None
    assert set(RECORDINGS) >= {".seq", ".csq", ".avi", ".mp4", ".mkv", ".npy", ".npz", ".tif"}


CELSIUS = dict(range=(20, 40), unit="celsius")


@pytest.fixture
def flir_clip(data_root):
    """A recording of FLIR's, and what its frames are in Celsius, (2, 480, 640) float32."""
    path = data_root / "radiometric" / "seq" / "SampleSEQ.seq"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    known = np.fromfile(path.with_name("SampleSEQ_W640_H480_F2_u16.raw"), "<f4")
    return path, known.reshape(2, 480, 640)


@pytest.mark.parametrize("scale", [CELSIUS, dict(unit="celsius"), dict(), dict(sequence=True)])
def test_frames_of_flir_are_temperatures_in_data_sets_and_prediction(flir_clip, tmp_path, scale):
    from mmspec.apis import Inputs
    from mmspec.apis.predictor import _sample

    pytest.importorskip("flyr")
    path, known = flir_clip
    (tmp_path / "clip.seq").symlink_to(path)
    np.save(tmp_path / "known.npy", known)
    dataset = InfraredFolder(str(tmp_path), pipeline=PIPELINE, infrared_scale=scale)
    load = dataset.pipeline.transforms[0]
    predicted = [load(_sample(one, "infrared", 0))["img"] for one in Inputs(str(tmp_path))]
    for found in ([dataset[i]["img"] for i in range(4)], predicted):
        assert 20 < found[2].mean() < 235  # neither black nor white
        for index in range(2):
            assert np.abs(found[index].astype(int) - found[index + 2]).max() <= 1


def test_counts_of_flir_where_they_are_asked_for_or_flyr_is_absent(flir_clip, monkeypatch):
    path, _ = flir_clip
    name = f"{path}#1"
    counts = read_infrared(open_recording(path).frame(1))
    assert np.array_equal(read_infrared(name, unit="counts"), counts)
    with pytest.raises(UnreadableImageError, match=r"seq#1: no picture in it: read unit='counts'"):
        read_infrared(name, unit="gray")
    assert image_size(name) == (640, 480)
    monkeypatch.setattr("mmspec.thermal.flir.has_flyr", lambda: False)
    with pytest.warns(UserWarning, match="seq#1: counts, not temperatures; for these pip install"):
        assert np.array_equal(read_infrared(name), counts)


def test_frames_without_constants_of_the_camera_are_counts(tmp_path):
    stack = frames(2, np.uint16)
    name = write(tmp_path / "clip.seq", stack) + "#1"
    pytest.importorskip("flyr")
    with pytest.warns(UserWarning, match="clip.seq#1: counts, not temperatures: no constants of"):
        assert np.array_equal(read_infrared(name), read_infrared(stack[1]))
    with pytest.raises(UnreadableImageError, match="clip.seq#1: no constants of the camera"):
        read_infrared(name, unit="celsius")


def test_loaders_of_8_bits_refuse_counts_of_flir(tmp_path):
    from mmspec.apis import Inputs
    from mmspec.apis.predictor import _PixelsToo, _sample
    from mmspec.datasets.image_io import decode_visible

    write(tmp_path / "clip.seq", frames(1, np.uint16))
    (frame,) = Inputs(str(tmp_path))
    with pytest.raises(UnreadableImageError, match="clip.seq#0: pixels of type uint16, and the"):
        _PixelsToo(None)(_sample(frame, "infrared", 0))
    with pytest.raises(UnreadableImageError, match="clip.seq#0: not an image"):
        decode_visible(frame.pixels[0], frame.files[0])


def test_recordings_of_two_folders_are_predicted_in_pairs(tmp_path):
    from mmspec.apis import Inputs

    for side in ("ir", "rgb"):
        (tmp_path / side).mkdir()
    write(tmp_path / "ir" / "clip.seq", frames(dtype=np.uint16))
    write(tmp_path / "rgb" / "clip.avi", frames())
    found = list(Inputs((str(tmp_path / "ir"), str(tmp_path / "rgb")), sides=2))
    assert [one.name for one in found] == [f"clip/{i:06d}" for i in range(FRAMES)]
    assert found[3].files == tuple(
        f"{tmp_path}/{name}#3" for name in ("ir/clip.seq", "rgb/clip.avi")
    )


def test_a_recording_that_is_written_anew_is_opened_anew(tmp_path):
    path = tmp_path / "clip.npy"
    for value, count in ((1, 5), (2, 3)):
        np.save(tmp_path / "new.npy", np.full((count, 40, 50), value, np.uint16))
        (tmp_path / "new.npy").replace(path)
        assert (read_frame(f"{path}#0") == value).all()
