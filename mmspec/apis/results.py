"""Predictions as files, written as they come: of any number none is kept in memory."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from .predictor import Prediction


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
    ``NAME.jsonl``          a recording, a line a frame with what was found
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
        self.folder = Path(folder)
        self.pictures = pictures
        self.probabilities = probabilities
        if not overwrite and self.folder.is_dir() and any(self.folder.iterdir()):
            raise ResultError(f"{folder} is not empty: name another folder, or give --overwrite")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        self._tables: dict[str, _Table] = {}
        self._coco: _CocoFile | None = None
        self._recording: _Recording | None = None

    def __enter__(self) -> ResultFolder:
        return self

    def __exit__(self, *error: object) -> None:
        with _uninterrupted():
            if self._recording is not None:
                self._recording.close()
            self._open.close()

    def write(self, prediction: Prediction) -> None:
        """Write one prediction; Ctrl-C waits for it."""
        with _uninterrupted():
            record = prediction.record()
            if prediction.frame.recording:
                self._write_frame(prediction, record)
            else:
                self._write_image(prediction, record)

    def _write_image(self, prediction: Prediction, record: dict) -> None:
        frame, task = prediction.frame, prediction.task
        if self.pictures:
            self._save(f"pictures/{frame.name}", Image.fromarray(prediction.picture()))
        self._write_files(prediction)
        height, width = _size(prediction)
        row = dict(image=frame.files[0], width=width, height=height)
        self._table("summary").write({**row, **task.summary(record)})
        if task.table:
            table = self._table(task.table, ("image", "x", "y", "area", "score"))
            for entry in record[task.table]:
                table.write(dict(image=frame.files[0], **entry))
        if task.coco:
            if self._coco is None:
                path = self.folder / "predictions.json"
                self._coco = self._open.enter_context(_CocoFile(path, task.classes))
            self._coco.write(dict(file_name=frame.files[0], width=width, height=height), record)

    def _write_frame(self, prediction: Prediction, record: dict) -> None:
        frame = prediction.frame
        if self._recording is None or self._recording.name != frame.recording:
            if self._recording is not None:
                self._recording.close()
            self._recording = _Recording(self.folder, frame.recording, frame.rate)
        picture = prediction.picture(steady=True) if self.pictures else None
        if prediction.task.each_frame:
            self._write_files(prediction)
        line = dict(frame=frame.index, seconds=round(frame.index / frame.rate, 4), **record)
        self._recording.write(line, picture)

    def _write_files(self, prediction: Prediction) -> None:
        files = prediction.task.files(prediction.sample, prediction.score, self.probabilities)
        for folder, content in files.items():
            self._save(f"{folder}/{prediction.frame.name}", content)

    def _save(self, name: str, content: Image.Image | Mapping[str, np.ndarray]) -> None:
        # Not with_suffix(): a name may have dots.
        path = self.folder / f"{name}{'.png' if isinstance(content, Image.Image) else '.npz'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Image.Image):
            content.save(path)
        else:
            np.savez_compressed(path, **content)

    def _table(self, name: str, columns: Sequence[str] | None = None) -> _Table:
        if name not in self._tables:
            table = _Table(self.folder / f"{name}.csv", columns)
            self._tables[name] = self._open.enter_context(table)
        return self._tables[name]


class ResultError(FileExistsError):
    """A folder that is not empty; the message has the way out."""


class _Table:
    """A CSV file, whole after each row."""

    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        self.file = path.open("w", newline="", encoding="utf-8")
        self.writer: csv.DictWriter | None = None
        if columns:
            self._start(columns)

    def _start(self, columns: Sequence[str]) -> None:
        self.writer = csv.DictWriter(self.file, columns)
        self.writer.writeheader()

    def write(self, row: Mapping[str, Any]) -> None:
        if self.writer is None:
            self._start(list(row))
        self.writer.writerow(row)
        self.file.flush()

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


class _CocoFile:
    """A COCO file, of which images wait in a file beside it until the annotations end."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
        self.path, self.beside = path, path.with_suffix(".images")
        self.file = path.open("w", encoding="utf-8")
        self.images = self.beside.open("w+", encoding="utf-8")
        self.file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        self.counts = [0, 0]

    def write(self, image: dict, record: Mapping[str, Any]) -> None:
        number = self.counts[0] + 1
        self._add(self.images, 0, dict(id=number, **image))
        for instance in record["instances"]:
            entry = {key: value for key, value in instance.items() if key != "category"}
            entry = dict(id=self.counts[1] + 1, image_id=number, **entry, iscrowd=0)
            self._add(self.file, 1, entry)

    def _add(self, file, which: int, entry: dict) -> None:
        file.write(f"{',' if self.counts[which] else ''}\n{json.dumps(entry)}")
        self.counts[which] += 1

    def __enter__(self) -> _CocoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.write('\n],\n"images": [')
        self.images.seek(0)
        shutil.copyfileobj(self.images, self.file)
        self.file.write("\n]}\n")
        self.file.close()
        self.images.close()
        self.beside.unlink()


class _Recording:
    """The annotated video and the lines of a recording, whole after each frame or :meth:`close`."""

    def __init__(self, folder: Path, name: str, rate: float) -> None:
        self.name, self.rate = name, rate
        self.path = folder / name
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lines = open(f"{self.path}.jsonl", "w", encoding="utf-8")  # noqa: SIM115
        self.video: cv2.VideoWriter | None = None
        self.size = (0, 0)

    def write(self, line: dict, picture: np.ndarray | None) -> None:
        self.lines.write(json.dumps(line) + "\n")
        self.lines.flush()
        if picture is None:
            return
        if self.video is None:
            # Encoders halve the resolution of colours: even sides.
            self.size = tuple(-(-side // 2) * 2 for side in picture.shape[:2])
            self.video = cv2.VideoWriter(
                f"{self.path}.mp4", cv2.VideoWriter_fourcc(*"mp4v"), self.rate, self.size[::-1]
            )
        canvas = np.full((*self.size, 3), 250, np.uint8)
        height, width = np.minimum(self.size, picture.shape[:2])
        canvas[:height, :width] = picture[:height, :width]
        self.video.write(canvas[..., ::-1])

    def close(self) -> None:
        self.lines.close()
        if self.video is not None:
            self.video.release()


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


def _size(prediction: Prediction) -> tuple[int, int]:
    """Height and width of the image as it was read."""
    shape = prediction.sample.get("ori_shape") or prediction.image.shape[-2:]
    return int(shape[0]), int(shape[1])
