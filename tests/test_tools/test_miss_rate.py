import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from kaist_files import read_detections, read_truth
from PIL import Image

from mmspec.evaluation.miss_rate import evaluate_miss_rate
from mmspec.visualization.curves import save_miss_rate_curves  # noqa: F401 (it prints when imported)

TOOL = Path(__file__).resolve().parents[2] / "tools/analysis_tools/miss_rate.py"
PUBLISHED = ("MBNet", "MSDS-RCNN")


@pytest.fixture(scope="module")
def kaist(data_root):
    return data_root / "kaist_eval"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name="__main__")


def results_of(kaist, name):
    return kaist / f"state_of_arts/{name}_result.txt"


def printed_numbers(text: str) -> list[dict[str, list[str]]]:
    """Of each results file {setting: cells of pedestrians, All, Day, Night}."""
    tables = text.strip().split("\n\n")
    return [
        {line.split()[0]: line.split()[1:] for line in table.splitlines()[2:]} for table in tables
    ]


def test_published_detectors(kaist, monkeypatch, capsys):
    expected = json.loads((kaist / "expected_miss_rates.json").read_text())["expected"]
    settings = expected["MBNet"]
    files = [results_of(kaist, name) for name in PUBLISHED]
    run(
        monkeypatch,
        kaist / "KAIST_annotation.json",
        *files,
        "--as-reference",
        "--settings",
        *settings,
    )
    tables = printed_numbers(capsys.readouterr().out)
    assert len(tables) == 2
    for name, table in zip(PUBLISHED, tables):
        assert list(table) == list(settings)
        for setting, cells in table.items():
            rates = [100 * expected[name][setting][time]["log_average_miss_rate"]
                     for time in ("all", "day", "night")]  # fmt: skip
            assert cells[1:] == [f"{rate:.2f}" for rate in rates], (name, setting)


@pytest.mark.parametrize("name", PUBLISHED)
def test_whole_curves_of_published_detectors(kaist, name):
    expected = json.loads((kaist / "expected_miss_rates.json").read_text())["expected"][name]
    truth = read_truth(kaist / "KAIST_annotation.json")
    curves = evaluate_miss_rate(
        truth, read_detections(results_of(kaist, name), truth), [*expected], True
    )
    for (setting, time), curve in curves.items():
        wanted = expected[setting][time.lower()]
        assert curve.log_average == pytest.approx(wanted["log_average_miss_rate"], abs=1e-9)
        assert curve.at_points == pytest.approx(wanted["miss_rate_at_fppi"], abs=1e-9)
        assert 1 - curve.miss_rate[-1] == pytest.approx(wanted["final_recall"], abs=1e-9)
    assert len(curves) == 12


def test_the_box_of_id_0_and_the_experiments_of_kaist(kaist, monkeypatch, capsys):
    arguments = [kaist / "KAIST_annotation.json", results_of(kaist, "MSDS-RCNN")]
    run(monkeypatch, *arguments, "--as-reference")
    run(monkeypatch, *arguments)
    with_, without = printed_numbers(capsys.readouterr().out)
    assert list(with_) == [
        "Reasonable", "All", "near", "medium", "far", "none", "partial", "heavy",
    ]  # fmt: skip
    # It is of height 50 and not occluded, by day.
    changed = {"All": (34.20, 34.15), "medium": (16.28, 16.19), "none": (30.00, 29.96)}
    for setting, cells in with_.items():
        both = (float(cells[1]), float(without[setting][1]))
        assert both == changed.get(setting, (both[0], both[0])), setting
        assert cells[3] == without[setting][3]
    counts = {setting: int(cells[0].replace(",", "")) for setting, cells in with_.items()}
    assert counts["none"] + counts["partial"] + counts["heavy"] == 3276 == counts["All"]


@pytest.fixture
def annotation(tmp_path):
    entry = dict(category_id=1, ignore=0, occlusion=0, bbox=[100, 100, 40, 80])
    content = dict(
        # Ids out of order: the lines of a text file count them in theirs.
        images=[
            dict(id=i, im_name=f"{name}/V000/I00019", width=640, height=512)
            for i, name in ((7, "set09"), (4, "set06"))
        ],
        annotations=[dict(entry, id=1, image_id=4), dict(entry, id=2, image_id=7)],
        categories=[dict(id=1, name="person")],
    )
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


def test_text_and_json_are_alike_and_a_picture(annotation, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.txt").write_text("1,100,100,40,80,0.9\n\n2,300,300,40,80,0.8\n")
    (tmp_path / "a.json").write_text(
        json.dumps(
            [
                dict(image_id=4, bbox=[100, 100, 40, 80], score=0.9, category_id=1),
                dict(image_id=7, bbox=[300, 300, 40, 80], score=0.8, category_id=1),
            ]
        )
    )
    (tmp_path / "empty.txt").write_text("")
    files = [tmp_path / name for name in ("a.txt", "a.json", "empty.txt")]
    out = tmp_path / "new" / "curve.png"
    run(monkeypatch, annotation, *files, "--settings", "Reasonable", "far", "--out", out)
    tables = printed_numbers(capsys.readouterr().out.rpartition("picture: ")[0])
    hit = dict(Reasonable=["2", "50.00", "0.00", "100.00"], far=["0", "-", "-", "-"])
    assert tables[:2] == [hit, hit]
    assert tables[2]["Reasonable"] == ["2", "100.00", "100.00", "100.00"]
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 20


def test_own_coco_file(annotation, tmp_path, monkeypatch, capsys):
    content = json.loads(annotation.read_text())
    for image in content["images"]:
        image["file_name"] = image.pop("im_name").replace("/I", "/lwir/I") + ".jpg"
    content["annotations"][1]["iscrowd"] = 1  # of the night
    annotation.write_text(json.dumps(content))
    (tmp_path / "a.txt").write_text("2,100,100,40,80,0.9\n")
    run(monkeypatch, annotation, tmp_path / "a.txt", "--settings", "All")
    (table,) = printed_numbers(capsys.readouterr().out)
    assert table["All"] == ["1", "100.00", "100.00", "-"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1,1,1,9,9,0.5\n1 1 1 9 9 0.5\n", r"a.txt: line 2: '1 1 1 9 9 0.5', not image,x"),
        ("a.txt", "0,1,1,9,9,0.5\n", r"a.txt: line 1: image 0 is not among .* numbers 1 to 2"),
        ("a.txt", "1,1,1,-9,9,0.5\n", r"a.txt: line 1: a box of x, y, width, height"),
        ("a.txt", "1,1,1,9,9,nan\n", r"a.txt: line 1: the score is nan"),
        ("a.json", "{}", r"a.json: not a list of results but a dict"),
        ("a.json", "[", r"a.json: not a JSON file"),
        ("a.json", '[{"image_id": 4, "bbox": [1, 1, 9, 9]}]', r"entry 0: no image_id.*'score'"),
        (
            "a.json",
            '[{"image_id": 1, "bbox": [1, 1, 9, 9], "score": 1}]',
            r"entry 0: image 1 is not among the annotation's ids 4 to 7",
        ),
        ("a.txt", "0,1,1,9,9,0.5\n", r"numbers 1 to 2; the first is 1"),
        (
            "a.json",
            '[{"image_id": "4", "bbox": [1, 1, 9, 9], "score": 1}]',
            r"a.json: entry 0: image '4' is not among the annotation's ids 4 to 7",
        ),
        *(
            (
                "a.json",
                f'[{{"image_id": {key}, "bbox": [1, 1, 9, 9], "score": 1}}]',
                r"a.json: entry 0: no image_id, .*image_id (None|\[4\])",
            )
            for key in ("null", "[4]")
        ),
        ("a.txt", "1,1,1,9,9,0.5 \u00b0\n".encode("latin-1"), r"a.txt: line 1 is not utf-8"),
        ("a.csv", "", r"a.csv: detections are read from .txt and .json files"),
    ],
)
def test_results_that_cannot_be_used(annotation, tmp_path, monkeypatch, name, text, message):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, annotation, tmp_path / name)


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("images", dict(id="7"), r"truth.json: 'images': text and numbers are among their ids"),
        ("images", dict(id=[7]), r"truth.json: images\[0\] has no id, width and height"),
        ("images", dict(width="wide"), r"truth.json: images\[0\] has no id, width and height"),
        ("annotations", dict(image_id="4"), r"annotations\[0\]: not a box of a known image.*'4'"),
        ("annotations", dict(ignore="maybe"), r"annotations\[0\]: .*'maybe' is neither 0 nor 1"),
    ],
)
def test_annotations_of_other_types(annotation, tmp_path, monkeypatch, key, changes, message):
    content = json.loads(annotation.read_text())
    content[key][0] |= changes
    annotation.write_text(json.dumps(content))
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, annotation, tmp_path / "a.txt")


def test_lines_do_not_count_images_whose_ids_are_text(annotation, tmp_path, monkeypatch, capsys):
    content = json.loads(annotation.read_text())
    for image, box in zip(content["images"], content["annotations"][::-1]):
        image["id"] = box["image_id"] = str(image["id"])
        box["ignore"] = "0"
    annotation.write_text(json.dumps(content))
    (tmp_path / "a.txt").write_text("1,100,100,40,80,0.9\n")
    with pytest.raises(SystemExit, match="a.txt: its lines count images .* are text"):
        run(monkeypatch, annotation, tmp_path / "a.txt")
    result = dict(image_id="4", bbox=[100, 100, 40, 80], score=0.9)
    (tmp_path / "a.json").write_text(json.dumps([result]))
    run(monkeypatch, annotation, tmp_path / "a.json", "--settings", "All")
    (table,) = printed_numbers(capsys.readouterr().out)
    assert table["All"] == ["2", "50.00", "0.00", "100.00"]


def rewritten(kaist, path, change):
    """MBNet's detections, a line's six numbers changed."""
    lines = (kaist / "state_of_arts/MBNet_result.txt").read_text().splitlines()
    rows = [change(*map(float, line.split(","))) for line in lines]
    path.write_text("".join(",".join(map(repr, row)) + "\n" for row in rows if row[0] > 0))
    return path


def test_results_of_another_convention_are_noticed(kaist, tmp_path, recwarn):
    truth = read_truth(kaist / "KAIST_annotation.json")
    for name in PUBLISHED:
        read_detections(results_of(kaist, name), truth)
    assert not recwarn.list
    corners = rewritten(
        kaist, tmp_path / "corners.txt", lambda i, x, y, w, h, s: (i, x, y, x + w, y + h, s)
    )
    read_detections(corners, truth)
    leave, found = (str(warning.message) for warning in recwarn.list)
    assert leave.startswith(
        f"{corners}: 9,749 of 12,937 boxes reach beyond their image, the first is line 1: 502.33,"
        " 212.455, 522.252, 254.103 in 640 x 512 pixels."
    )
    assert leave.endswith("all would be sound as corners x1, y1, x2, y2")
    assert "in 1 images, but in 1,049 if its boxes are corners x1, y1, x2, y2" in found
    recwarn.clear()
    from_0 = rewritten(kaist, tmp_path / "from_0.txt", lambda i, *rest: (i - 1, *rest))
    read_detections(from_0, truth)
    (found,) = (str(warning.message) for warning in recwarn.list)
    assert "in 171 images, but in 1,048 if its images are counted from 0" in found


def test_one_box_beyond_its_image_is_named(annotation, tmp_path):
    (tmp_path / "a.txt").write_text("1,100,100,40,80,0.9\n2,-3,100,40,80,0.8\n")
    with pytest.warns(UserWarning, match=r"1 of 2 boxes .* line 2: -3, 100, 40, 80 in 640 x 512"):
        detections = read_detections(tmp_path / "a.txt", read_truth(annotation))
    assert detections.boxes[1].tolist() == [-3, 100, 40, 80]


def test_annotations_that_cannot_be_used(annotation, tmp_path, monkeypatch):
    results = tmp_path / "a.txt"
    results.write_text("")
    with pytest.raises(SystemExit, match=r"a.txt: not a JSON file"):
        run(monkeypatch, results, results)
    content = json.loads(annotation.read_text())
    content["annotations"][1]["image_id"] = 99
    annotation.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"annotations\[1\]: not a box of a known image.*99"):
        run(monkeypatch, annotation, results)
    content["annotations"][1]["image_id"] = 4
    del content["annotations"][1]["occlusion"]
    annotation.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"no 'occlusion', by which Reasonable"):
        run(monkeypatch, annotation, results)
    with pytest.raises(SystemExit, match=r"No such file.*b.txt"):
        run(monkeypatch, annotation, tmp_path / "b.txt")
