"""docs/your_data.md: every command of the page runs, in its order, on a few small images."""

import glob
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from layouts import save
from mmengine.logging import MMLogger

REPO = Path(__file__).resolve().parents[2]
PAGE = (REPO / "docs" / "your_data.md").read_text()
HEIGHT, WIDTH = 64, 96
#: What the page has people write into the top of a copied config, and smaller images.
EDITS = {
    '("person", "car")': '("valve", "leak")',
    "scale = (640, 512)": f"scale = ({WIDTH}, {HEIGHT})",
    "crop_size = (320, 256)": f"crop_size = ({WIDTH}, {HEIGHT})",
    "crop_size = (240, 320)": f"crop_size = ({HEIGHT}, {WIDTH})",
    "crop_size = (128, 128)": "crop_size = (64, 64)",
    "batch_size = 8": "batch_size = 2",
    "batch_size = 4": "batch_size = 2",
}


def commands(section: str) -> list[list[str]]:
    """The command lines under a heading."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]
    blocks = re.findall(r"```shell\n(.*?)```", text, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def frame(number: int, colour: bool = False) -> np.ndarray:
    """14 bits with a warm square, or a visible image of the same scene."""
    rng = np.random.default_rng(number)
    values = rng.normal(7000, 20, (HEIGHT, WIDTH))
    values[20:40, 30:60] += 900
    if not colour:
        return values.astype(np.uint16)
    return np.stack([np.clip((values - 6900) / 4, 0, 255).astype(np.uint8)] * 3, -1)


def mask() -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[20:40, 30:60] = 255
    return pixels


def frames(root: Path) -> None:
    for i in range(32):
        save(root / "data/mine/frames" / f"{i}.png", frame(i))


def boxes(root: Path) -> None:
    for split in ("train", "val"):
        for i in range(2):
            save(root / "data/mine/images" / split / f"{i}.png", frame(i))
            path = root / "data/mine/labels" / split / f"{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("0 0.46875 0.46875 0.3125 0.3125\n")
    (root / "data/mine/classes.txt").write_text("valve\nleak\n")


def outlines(root: Path) -> None:
    points = [(30, 20), (60, 20), (60, 40), (30, 40)]
    shapes = [dict(label="leak", shape_type="polygon", points=points)]
    for i in range(5):
        path = root / "data/mine/frames" / f"{i}.png"
        save(path, frame(i))
        path.with_suffix(".json").write_text(json.dumps(dict(shapes=shapes, imagePath=path.name)))


def targets(root: Path) -> None:
    for split in ("train", "val"):
        for i in range(2):
            save(root / "data/mine/images" / f"{split}{i}.png", frame(i))
            save(root / "data/mine/masks" / f"{split}{i}.png", mask())
        (root / f"data/mine/{split}.txt").write_text(f"{split}0\n{split}1\n")


def pairs(root: Path) -> None:
    for i in range(20):
        save(root / "data/pairs/ir" / f"{i}.png", frame(i))
        save(root / "data/pairs/rgb" / f"{i}.png", frame(i, colour=True))
    for split in ("train", "val"):
        for i in range(2):
            folder = root / "data/mine" / split
            save(folder / "T" / f"{i}.png", frame(i))
            save(folder / "RGB" / f"{i}.png", frame(i, colour=True))
            save(folder / "GT" / f"{i}.png", mask())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command of the page in a small clone, shortened to two steps."""
    shutil.copytree(REPO / "configs", tmp_path / "configs")
    (tmp_path / "tools").symlink_to(REPO / "tools")
    monkeypatch.chdir(tmp_path)

    def call(words: list[str]) -> None:
        words = [word.replace("iter_1000", "iter_2") for word in words]
        words = [word.replace("'person','car'", "'valve','leak'") for word in words]
        words = [found for word in words for found in sorted(glob.glob(word)) or [word]]
        if words[0] == "cp":
            text = Path(words[1]).read_text()
            for old, new in EDITS.items():
                text = text.replace(old, new)
            Path(words[2]).write_text(text)
            return
        assert words[0] == "python"
        if words[1] == "tools/train.py":
            epochs = "/pretrain/" in words[2]
            words += ["--epochs", "1"] if epochs else ["--iters", "2"]
        MMLogger._instance_dict.clear()
        module = words[1] == "-m"
        monkeypatch.setattr(sys, "argv", words[2 if module else 1 :])
        monkeypatch.syspath_prepend(str(REPO / Path(words[1]).parent))
        try:
            if module:
                runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(words[1], run_name="__main__")
        except SystemExit as stop:
            if stop.code:
                pytest.fail(f"{shlex.join(words)}: {stop.code}")

    return call


@pytest.mark.parametrize(
    ("section", "write", "left"),
    [
        ("Frames: pre-train", frames, ["sheet.png", "work_dirs/tiny/epoch_1.pth"]),
        ("Boxes: a detector", boxes, ["boxes/predictions.json"]),
        ("Outlines: a segmentation", outlines, ["labels/labels"]),
        ("Masks of small targets", targets, ["sheet.png", "targets/targets.csv"]),
        ("Pairs", pairs, ["work_dirs/pairs/epoch_1.pth", "saliency/saliency"]),
    ],
)
def test_the_commands_of_a_section(section, write, left, run, tmp_path):
    write(tmp_path)
    for words in commands(section):
        run(words)
    for name in left:
        assert (tmp_path / name).exists(), sorted(tmp_path.rglob("*"))


def test_every_command_is_run():
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    typed = [section for section in sections if commands(re.escape(section))]
    assert typed == [case[0] for case in test_the_commands_of_a_section.pytestmark[0].args[1]]
