"""The names of a folder, found by the first process of a run for all."""

import os
import pickle
import re

import processes  # noqa: F401  (it tells the fork server what to import)
import pytest
import torch
from layouts import write

from mmspec.datasets import InfraredFolder, RGBTFolder, files
from mmspec.datasets.name_index import NameIndex


def test_names_are_kept_whatever_they_hold():
    samples = [("a/b.png",), ("tab\t.png", "größe.png"), ("", os.fsdecode(b"caf\xe9.png"))]
    index = NameIndex.of(samples)
    assert [tuple(index[i]) for i in range(len(index))] == samples
    assert index.digest() == NameIndex.of(samples).digest() != NameIndex.of(samples[:2]).digest()
    assert index.digest() != NameIndex.of([("a/b.pn",), ("g" + "\0".join(samples[1]),)]).digest()


def test_a_data_set_holds_letters_and_no_python_objects(tmp_path):
    write(tmp_path, "InfraredFolder", names=[f"{i:03}" for i in range(200)])
    assert len(pickle.dumps(InfraredFolder(str(tmp_path)))) < 200 * (len("000.png") + 8) + 2000


def test_a_long_search_tells_how_far_it_is(tmp_path, monkeypatch):
    write(tmp_path, "InfraredFolder", names=["a", "b", "c"])
    told = []
    monkeypatch.setattr(files, "_TELL_EVERY", -1)
    monkeypatch.setattr(files, "print_log", lambda text, *_: told.append(text))
    files.find_images(str(tmp_path))
    assert told == [f"{n} images found in {tmp_path} so far" for n in (1, 2, 3)]


def _rank(rank: int, folder: str, kind: str, harm: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    root = f"{folder}/{rank if harm else 0}"
    if rank == 1:

        def refuse(path):
            raise AssertionError("the second process searches too")

        os.scandir = refuse
    try:
        dataset = (RGBTFolder if kind == "RGBTFolder" else InfraredFolder)(root, indices=[0, 2])
        told = str([dataset.get_data_info(i) for i in range(len(dataset))])
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    with open(f"{folder}/told{rank}", "w") as file:
        file.write(told)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("kind", "harm", "expected"),
    [
        ("InfraredFolder", "", r"\[{'img_path': '.*/0/a\.png'.*/0/c\.png', 'sample_idx': 1}\]"),
        ("RGBTFolder", "", r"'visible_path': '.*/0/rgb/a\.png', .*'sample_idx': 1}\]"),
        (
            "InfraredFolder",
            "1/b.png",
            r"RanksDifferError: .*/b\.png: the first process and pro.* 1",
        ),
        ("RGBTFolder", "0/rgb/b.png", r"FileNotFoundError: .*1 images or names have no partner"),
    ],
)
def test_the_first_process_searches_for_all(tmp_path, kind, harm, expected):
    for rank in (0, 1):
        write(tmp_path / str(rank), kind, names=["a", "b", "c"])
    if harm:
        (tmp_path / harm).unlink()
    # Not forked from here, where other tests have left threads; the server has the libraries.
    context = torch.multiprocessing.start_processes(
        _rank, (str(tmp_path), kind, harm), nprocs=2, join=False, start_method="forkserver"
    )
    try:
        assert any(context.join(timeout=30) for _ in range(3)), "the processes hang"
    finally:
        for process in context.processes:
            process.kill()
    first, second = ((tmp_path / f"told{rank}").read_text() for rank in (0, 1))
    assert re.search(expected, first)
    assert re.search(expected, second)
