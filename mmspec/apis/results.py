"""Predictions as files, written as they come: of any number none is kept in memory."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

import cv2
import numpy as np
from PIL import Image

from .predictor import Prediction

#: Frames a second of the annotated video where the recording does not tell its own.
USUAL_RATE = 25.0


class ResultFolder:
    """A folder of results; a context, at whose end, by Ctrl-C too, all its files are whole.

    ======================  =====================================================================
    file                    content
    ======================  =====================================================================
    ``pictures/NAME.png``   what was found, drawn over the image
    ``summary.csv``         a row an image: size and what was found, in numbers
    ``predictions.json``    boxes and masks as COCO has them, with scores
    ``targets.csv``         small targets: centroid x, y, area, score
    ``FOLDER/NAME.*``       what the task writes an image: labels, masks, saliency, probabilities,
                            features, matches, reconstructions
    ``NAME.mp4``            a recording, annotated
    ``NAME.jsonl``          a recording, a line a frame with what was found, and at which second
                            where the file tells its rate
    ======================  =====================================================================

    Args:
        folder: it is made; one that is not empty is refused unless ``overwrite``.
        pictures: draw at all.
        probabilities: write arrays of probabilities too, where the task has them.
        overwrite: replace results of the same names.

    Raises:
        ResultError: the folder is not empty.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        pictures: bool = True,
        probabilities: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder, self.pictures, self.probabilities = Path(folder), pictures, probabilities
        if not overwrite and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ResultError(f"{folder} is not empty: name another folder, or give --overwrite")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        self._tables: dict[str, csv.DictWriter] = {}
        self._coco: Callable[..., None] | None = None
        self._recording, self._of_recording = "", ExitStack()

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, *error: object) -> None:
        with _uninterrupted():
            with self._open:
                self._of_recording.close()
            with suppress(OSError):  # it goes where it is empty: an error before the first result
                self.folder.rmdir()

    def write(self, prediction: Prediction) -> None:
        """Write one prediction; Ctrl-C waits for it."""
        with _uninterrupted():
            write = self._write_frame if prediction.frame.recording else self._write_image
            write(prediction, prediction.record())

    def _write_image(self, prediction: Prediction, record: dict) -> None:
        frame, task = prediction.frame, prediction.task
        if self.pictures:
            self._save(f"pictures/{frame.name}", Image.fromarray(prediction.picture()))
        self._write_files(prediction)
        height, width = prediction.sample.get("ori_shape") or prediction.image.shape[-2:]
        size = dict(width=int(width), height=int(height))
        row = dict(image=frame.files[0], **size, **task.summary(record, prediction.sample))
        self._table("summary", list(row)).writerow(row)
        if task.table:
            table = self._table(task.table, ("image", "x", "y", "area", "score"))
            table.writerows(dict(image=frame.files[0], **entry) for entry in record[task.table])
        if task.coco:
            if self._coco is None:
                file = _coco_file(self.folder / "predictions.json", task.classes, prediction.score)
                self._coco = self._open.enter_context(file)
            self._coco(dict(file_name=frame.files[0], **size), record["instances"])

    def _write_frame(self, prediction: Prediction, record: dict) -> None:
        frame = prediction.frame
        if self._recording != frame.recording:
            self._of_recording.close()
            files = _recording(self.folder / frame.recording, frame.rate or USUAL_RATE)
            self._recording, self._add = frame.recording, self._of_recording.enter_context(files)
        picture = prediction.picture(steady=True) if self.pictures else None
        if prediction.task.each_frame or self.probabilities:
            self._write_files(prediction)
        time = {} if frame.seconds is None else dict(seconds=round(frame.seconds, 4))
        self._add(dict(frame=frame.index, **time, **record), picture)

    def _write_files(self, prediction: Prediction) -> None:
        files = prediction.task.files(prediction.sample, prediction.score, self.probabilities)
        for folder, content in files.items():
            self._save(f"{folder}/{prediction.frame.name}", content)

    def _save(self, name: str, content: Image.Image | Mapping[str, np.ndarray]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Image.Image):  # not with_suffix(): a name may have dots
            content.save(f"{path}.png")
        else:
            np.savez_compressed(f"{path}.npz", **content)

    def _table(self, name: str, columns: Sequence[str]) -> csv.DictWriter:
        """A CSV file, whole after each row."""
        if name not in self._tables:
            # A buffer of one line.
            file = open(self.folder / f"{name}.csv", "w", 1, "utf-8", newline="")  # noqa: SIM115
            self._tables[name] = csv.DictWriter(self._open.enter_context(file), columns)
            self._tables[name].writeheader()
        return self._tables[name]


class ResultError(FileExistsError):
    """A folder that is not empty; the message has the way out."""


@contextmanager
def _coco_file(
    path: Path, classes: Sequence[str], threshold: float
) -> Iterator[Callable[..., None]]:
    """What adds an image and its instances, of scores from ``threshold``, to a COCO file.

    Its images wait in a file beside it until the annotations end.
    """
    beside = TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115
    with path.open("w", encoding="utf-8") as file, beside as images:
        counts = {file: 0, images: 0}

        def add(to: TextIO, entry: dict) -> int:
            counts[to] += 1
            entry = json.dumps(dict(id=counts[to], **entry))
            to.write(f"{',' if counts[to] > 1 else ''}\n{entry}")
            return counts[to]

        def write(image: dict, instances: list[dict]) -> None:
            number = add(images, image)
            for instance in instances:
                entry = {key: value for key, value in instance.items() if key != "category"}
                add(file, dict(image_id=number, **entry, iscrowd=0))

        categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        head = dict(info=dict(score_threshold=threshold), categories=categories)
        file.write(f'{json.dumps(head)[:-1]},\n"annotations": [')
        yield write
        file.write('\n],\n"images": [')
        images.seek(0)
        shutil.copyfileobj(images, file)
        file.write("\n]}\n")


@contextmanager
def _recording(path: Path, rate: float) -> Iterator[Callable[..., None]]:
    """What adds a line, and a picture, to the lines and the annotated video of a recording.

    Lines are whole after each frame, the video is at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.jsonl", "w", 1, "utf-8") as lines, ExitStack() as opened:
        video, size = cv2.VideoWriter(), (0, 0)
        opened.callback(video.release)

        def write(line: dict, picture: np.ndarray | None) -> None:
            nonlocal size
            lines.write(json.dumps(line) + "\n")
            if picture is None:
                return
            if size == (0, 0):
                # Encoders halve the resolution of colours: even sides.
                size = tuple(-(-side // 2) * 2 for side in picture.shape[:2])
                code = cv2.VideoWriter_fourcc(*"mp4v")
                if not video.open(f"{path}.mp4", code, rate, size[::-1]):
                    reason = f"OpenCV writes no video of {size[1]} x {size[0]} at {rate:g} a second"
                    raise OSError(f"{path}.mp4: {reason}; leave the pictures out")
            canvas = np.full((*size, 3), 250, np.uint8)
            height, width = np.minimum(size, picture.shape[:2])
            canvas[:height, :width] = picture[:height, :width]
            video.write(canvas[..., ::-1])

        yield write


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Heed Ctrl-C when the block has ended, so that what it writes is whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *which: heard.append(which))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard and callable(before):
            before(*heard[0])
