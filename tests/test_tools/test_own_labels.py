"""Labels of one's own, from each labelling tool, become the same COCO files and label images."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_tools

from mmspec.registry import DATASETS

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/to_coco.py"
WIDTH, HEIGHT = 80, 60
CLASSES = ("valve", "leak")
BOX = (10, 15, 40, 45)  # of a valve
OUTLINE = [(50, 10), (70, 10), (70, 50), (50, 50)]  # of a leak, a rectangle


def text(path: Path, content: str | dict | list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def images(root: Path, folder: str, count: int = 10) -> list[Path]:
    paths = [root / folder / f"{i:02}.png" for i in range(count)]
    for i, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = np.full((HEIGHT, WIDTH), 7000 + i, np.uint16)
        frame[20:30, 20:30] += 900
        Image.fromarray(frame).save(path)
    return paths


def yolo(root: Path) -> None:
    text(root / "data.yaml", "nc: 2\nnames:\n  0: valve\n  1: leak\n")
    outline = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in OUTLINE)
    for path in images(root, "images"):
        text(root / "labels" / f"{path.stem}.txt", f"0 0.3125 0.5 0.375 0.5\n1 {outline}\n")


def voc(root: Path) -> None:
    entry = (
        "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
        "<ymax>{}</ymax></bndbox></object>"
    )
    objects = entry.format("valve", *BOX) + entry.format("leak", 50, 10, 70, 50)
    for path in images(root, "JPEGImages"):
        text(root / "Annotations" / f"{path.stem}.xml", f"<annotation>{objects}</annotation>")


def labelme(root: Path) -> None:
    shapes = [
        dict(label="valve", shape_type="rectangle", points=[BOX[:2], BOX[2:]]),
        dict(label="leak", shape_type="polygon", points=OUTLINE),
    ]
    for path in images(root, "frames"):
        size = dict(imageWidth=WIDTH, imageHeight=HEIGHT)
        text(path.with_suffix(".json"), dict(shapes=shapes, imagePath=path.name, **size))


def cvat(root: Path) -> None:
    x1, y1, x2, y2 = BOX
    points = ";".join(f"{x},{y}" for x, y in OUTLINE)
    inside = (
        f'<box label="valve" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0"/>'
        f'<polygon label="leak" points="{points}"/>'
    )
    entries = "".join(
        f'<image id="0" name="{path.name}" width="{WIDTH}" height="{HEIGHT}">{inside}</image>'
        for path in images(root, "frames")
    )
    names = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    head = f"<meta><job><labels>{names}</labels></job></meta>"
    text(root / "annotations.xml", f"<annotations>{head}{entries}</annotations>")


def coco(root: Path) -> None:
    paths = images(root, "images/default")
    x1, y1, x2, y2 = BOX
    entries = []
    for i in range(len(paths)):
        outline = [float(v) for point in OUTLINE for v in point]
        boxes = dict(valve=[x1, y1, x2 - x1, y2 - y1], leak=[50, 10, 20, 40])
        for number, (name, bbox) in enumerate(boxes.items(), start=1):
            parts = [outline] if name == "leak" else []
            entry = dict(image_id=i, category_id=number, bbox=bbox, iscrowd=0)
            entries.append(dict(entry, id=len(entries), segmentation=parts))
    text(
        root / "annotations" / "instances_default.json",
        dict(
            images=[
                dict(id=i, file_name=path.name, width=WIDTH, height=HEIGHT)
                for i, path in enumerate(paths)
            ],
            annotations=entries,
            categories=[dict(id=n, name=name) for n, name in enumerate(CLASSES, start=1)],
        ),
    )


LAYOUTS = [yolo, voc, labelme, cvat, coco]


@pytest.fixture
def convert(monkeypatch, tmp_path):
    def run(layout, *options):
        monkeypatch.setattr(sys, "argv", [str(TOOL), layout, str(tmp_path), *options])
        runpy.run_path(str(TOOL), run_name="__main__")

    return run


@pytest.mark.parametrize("write", LAYOUTS)
def test_every_tool_gives_the_same_boxes(write, convert, tmp_path, capsys):
    write(tmp_path)
    convert(write.__name__, "--classes", *CLASSES)
    told = capsys.readouterr().out
    assert "8 images; 8 valve, 8 leak" in told and "2 images; 2 valve, 2 leak" in told
    assert (tmp_path / "annotations" / "sheet.png").is_file()
    seen = set()
    for split in ("train", "val"):
        dataset = DATASETS.build(
            dict(
                type="mmspec.InfraredDetDataset",
                data_root=str(tmp_path),
                split=split,
                metainfo=dict(classes=CLASSES),
            )
        )
        for i in range(len(dataset)):
            sample = dataset.get_data_info(i)
            seen.add(Path(sample["img_path"]).name)
            boxes = {box["bbox_label"]: box["bbox"] for box in sample["instances"]}
            assert boxes == {0: list(BOX), 1: [50, 10, 70, 50]}
    assert seen == {f"{i:02}.png" for i in range(10)}


@pytest.mark.parametrize("write", [yolo, cvat, coco])
def test_class_names_and_their_order_are_those_of_the_tools_own_file(write, convert, tmp_path):
    write(tmp_path)
    convert(write.__name__)
    content = json.loads((tmp_path / "annotations" / "train.json").read_text())
    assert [entry["name"] for entry in content["categories"]] == list(CLASSES)


def test_outlines_become_label_images_that_segmentation_reads(convert, tmp_path):
    labelme(tmp_path)
    for path in tmp_path.rglob("*.json"):
        content = json.loads(path.read_text())
        text(path, dict(content, shapes=content["shapes"][1:]))
    convert("labelme", "--label-images")
    dataset = DATASETS.build(
        dict(
            type="mmspec.InfraredSegDataset",
            data_root=str(tmp_path),
            split="val",
            ann_file="{split}.txt",
            data_prefix=dict(infrared_path="", seg_map_path="label_images"),
            metainfo=dict(classes=("background", "leak")),
            pipeline=[
                dict(type="mmspec.LoadInfraredImageFromFile"),
                dict(type="mmspec.LoadSegmentationLabels"),
            ],
        )
    )
    assert len(dataset) == 2
    label = dataset[0]["gt_seg_map"]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:50, 50:70] = 1
    assert np.array_equal(label, expected)


def test_a_region_to_ignore_lies_under_smaller_objects_in_a_palette_of_two(convert, tmp_path):
    leak = dict(label="leak", shape_type="polygon", points=OUTLINE)
    rest = dict(leak, shape_type="rectangle", points=[(40, 0), (80, 60)], flags=dict(ignore=True))
    labelme(tmp_path)
    for path in tmp_path.rglob("*.json"):
        text(path, dict(json.loads(path.read_text()), shapes=[leak, rest]))
    convert("labelme", "--label-images")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, 40:] = 255
    expected[10:50, 50:70] = 1
    paths = [*(tmp_path / "label_images").rglob("*.png")]
    assert len(paths) == 10
    assert all(np.array_equal(Image.open(path), expected) for path in paths)


@pytest.mark.parametrize("write", [yolo, labelme])
def test_what_a_conversion_leaves_is_no_image_of_the_next(write, convert, tmp_path):
    write(tmp_path)
    for path in tmp_path.glob("labels/*.txt"):
        path.write_text(path.read_text().splitlines()[1])
    for path in tmp_path.rglob("frames/*.json"):
        content = json.loads(path.read_text())
        text(path, dict(content, shapes=content["shapes"][1:]))
    convert(write.__name__, "--label-images")
    assert (tmp_path / "annotations" / "sheet.png").is_file()
    files = [*tmp_path.glob("*.txt"), *tmp_path.glob("annotations/*.json")]
    before = {path: path.read_bytes() for path in files}
    for path in tmp_path.glob("annotations/*.json"):
        path.unlink()
    convert(write.__name__, "--label-images")
    assert {path: path.read_bytes() for path in files} == before
    assert not (tmp_path / "label_images" / "label_images").exists()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("crowd", [0, 1])
def test_a_run_length_mask_fills_its_own_pixels(crowd, compressed, convert, tmp_path):
    code = dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * 20 + 5, 10, HEIGHT * 60 - 15])
    if compressed:
        code = mask_tools.frPyObjects(code, HEIGHT, WIDTH)
        code["counts"] = code["counts"].decode()
    coco(tmp_path)
    path = tmp_path / "annotations" / "instances_default.json"
    content = json.loads(path.read_text())
    for entry in content["annotations"][::2]:
        entry |= dict(segmentation=code, iscrowd=crowd)
    text(path, content)
    convert("coco", "--label-images")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:50, 50:70] = 2
    expected[5:15, 20] = 255 if crowd else 1
    assert np.array_equal(Image.open(tmp_path / "label_images/images/default/00.png"), expected)
    written = json.loads((tmp_path / "annotations" / "val.json").read_text())["annotations"][0]
    assert (written["segmentation"], written["area"]) == (code, 10)
    content["annotations"][0]["segmentation"] = dict(code, size=[WIDTH, HEIGHT])
    text(path, content)
    with pytest.raises(SystemExit, match="annotation 0: segmentation is neither .* 80 x 60 pixels"):
        convert("coco", "--overwrite")


def test_a_corner_that_is_no_number_is_told(convert, tmp_path):
    labelme(tmp_path)
    path = tmp_path / "frames" / "00.json"
    text(path, path.read_text().replace("[50, 10]", "[NaN, 10]"))
    with pytest.raises(SystemExit, match=r"00\.json: shape 2: \[nan, 10.0, .* are not all finite"):
        convert("labelme")


def test_hidden_files_are_no_labels(convert, tmp_path):
    voc(tmp_path)
    (tmp_path / "Annotations" / "._00.xml").write_bytes(b"\0\5\x16\7")  # as macOS leaves them
    convert("voc")
    assert sum(map(len, splits_of(tmp_path).values())) == 10


def test_a_suffix_of_labels_may_be_in_capitals(convert, tmp_path):
    yolo(tmp_path)
    for path in tmp_path.glob("labels/*.txt"):
        path.rename(path.with_suffix(".TXT"))
    convert("yolo")
    files = [json.loads(path.read_text()) for path in (tmp_path / "annotations").glob("*.json")]
    assert sum(len(content["annotations"]) for content in files) == 20


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("annotations", dict(segmentation=[[1, 2, 3, 4]]), "annotation 0: segmentation is neither"),
        ("annotations", dict(segmentation=[1, 2, 3, 4, 5, 6]), "0: segmentation is neither"),
        ("annotations", dict(bbox=[9, 9, -5, 5]), "annotation 0: a box of -5 x 5 pixels"),
        ("annotations", dict(bbox=[9, 9, 5, float("nan")]), r"annotation 0: bbox .*not finite"),
        ("categories", dict(id=2), "two categories of one id"),
    ],
)
def test_what_is_wrong_in_a_coco_file_is_told(part, change, message, convert, tmp_path):
    coco(tmp_path)
    path = tmp_path / "annotations" / "instances_default.json"
    content = json.loads(path.read_text())
    content[part][0] |= change
    text(path, content)
    with pytest.raises(SystemExit, match=message):
        convert("coco")


def test_a_list_of_other_images_is_kept(convert, tmp_path):
    yolo(tmp_path)
    for path in tmp_path.glob("labels/*.txt"):
        path.write_text(path.read_text().splitlines()[1])
    text(tmp_path / "val.txt", "mine\n")
    with pytest.raises(SystemExit, match=r"val\.txt exists and lists other images"):
        convert("yolo", "--label-images")
    assert (tmp_path / "val.txt").read_text() == "mine\n"


def test_a_box_alone_is_no_label_image(convert, tmp_path):
    voc(tmp_path)
    with pytest.raises(SystemExit, match="a box and no outline"):
        convert("voc", "--label-images")


def test_split_by_folders(convert, tmp_path, capsys):
    text(tmp_path / "classes.txt", "valve\n")
    for split, count in (("train", 3), ("valid", 2), ("test", 1)):
        for path in images(tmp_path / split, "images", count):
            text(tmp_path / split / "labels" / f"{path.stem}.txt", "0 0.5 0.5 0.1 0.1\n")
    convert("yolo")
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        content = json.loads((tmp_path / "annotations" / f"{split}.json").read_text())
        assert len(content["images"]) == len(content["annotations"]) == count


def test_split_by_lists(convert, tmp_path):
    yolo(tmp_path)
    text(tmp_path / "a.txt", "00\n01.png\n")
    text(tmp_path / "b.txt", "images/05\n")
    convert("yolo", "--list", "train=a.txt", "val=b.txt")
    content = json.loads((tmp_path / "annotations" / "train.json").read_text())
    assert [entry["file_name"] for entry in content["images"]] == ["images/00.png", "images/01.png"]


def splits_of(root: Path) -> dict[str, list[str]]:
    contents = {p.stem: json.loads(p.read_text()) for p in (root / "annotations").glob("*.json")}
    return {
        split: [entry["file_name"] for entry in content["images"]]
        for split, content in contents.items()
    }


@pytest.mark.parametrize(
    ("stated", "files", "how"),
    [
        ("train: images/a\nval: [images/b, images/c]", {}, "by mine.yaml"),
        ("path: /gone\ntrain: 1.txt\nval: 2.txt", {"1.txt": "a", "2.txt": "bc"}, "by mine.yaml"),
        ("path: images\ntrain: ../a/\nvalid: [b, c]\ntest: ../test/images", {}, "by mine.yaml"),
        ("train: images\nval: images\ntest: gone", {}, "drawn, seed 0, val share 0.25"),
        ("train: images/a\nval: gone", {}, "drawn, seed 0, val share 0.25"),
    ],
)  # fmt: skip
def test_the_split_of_data_yaml(stated, files, how, convert, tmp_path, capsys):
    text(tmp_path / "mine.yaml", f"names: [valve]\n{stated}\n")
    for folder in "abc":
        for path in images(tmp_path, f"images/{folder}", 4):
            path.rename(path.with_stem(folder + path.stem))
            text(tmp_path / f"labels/{folder}/{folder}{path.stem}.txt", "0 0.5 0.5 0.1 0.1\n")
    for name, folders in files.items():
        lines = [f"./data/images/{f}/{f}{i:02}.png\n" for f in folders for i in range(4)]
        text(tmp_path / name, "".join(lines))
    convert("yolo", "--val-share", "0.25")
    told, splits = capsys.readouterr().out, splits_of(tmp_path)
    assert f"YOLO; split: {how}; " in told
    assert ("no image of it under" in told) == ("test: " in stated or "val: gone" in stated)
    if how == "by mine.yaml":
        assert splits == dict(
            train=[f"images/a/a{i:02}.png" for i in range(4)],
            val=[f"images/{f}/{f}{i:02}.png" for f in "bc" for i in range(4)],
        )
    else:
        assert (len(splits["train"]), len(splits["val"])) == (9, 3)


def test_what_data_yaml_leaves_open_is_told(convert, tmp_path, capsys):
    yolo(tmp_path)
    lists = {"a.txt": ["00", "01", "gone"], "b.txt": ["02"], "c.txt": ["01", "03"]}
    for name, stems in lists.items():
        text(tmp_path / name, "".join(f"images/{stem}.png\n" for stem in stems))
    names = "names: [valve, leak]\n"
    text(tmp_path / "data.yaml", f"{names}train: a.txt\nval: b.txt\ntest: b.txt\n")
    convert("yolo")
    told = capsys.readouterr().out
    assert splits_of(tmp_path) == dict(
        train=["images/00.png", "images/01.png"], val=["images/02.png"]
    )
    assert "a.txt: names without an image: 1, the first is images/gone.png\n" in told
    assert "data.yaml: test has the images of val: not used\n" in told
    assert "data.yaml: 7 images in no split of it: left out\n" in told
    convert("yolo", "--overwrite", "--list", "train=c.txt", "val=b.txt")
    assert "split: by lists c.txt, b.txt; " in capsys.readouterr().out
    text(tmp_path / "data.yaml", f"{names}train: a.txt\nval: c.txt\n")
    with pytest.raises(
        SystemExit, match=r"data.yaml: images/01.png is in train and again in val: give --list"
    ):
        convert("yolo", "--overwrite")


def test_of_pose_labels_the_box_is_read(convert, tmp_path, capsys):
    yolo(tmp_path)
    text(tmp_path / "data.yaml", "names: [valve]\nkpt_shape: [2, 3]\n")
    for path in (tmp_path / "labels").glob("*.txt"):
        path.write_text("0 0.3125 0.5 0.375 0.5 0.1 0.1 2 0 0 0\n")
    convert("yolo")
    content = json.loads((tmp_path / "annotations" / "val.json").read_text())
    x1, y1, x2, y2 = BOX
    assert [entry["bbox"] for entry in content["annotations"]] == 2 * [[x1, y1, x2 - x1, y2 - y1]]
    assert "segmentation" not in content["annotations"][0]
    assert capsys.readouterr().out.count("keypoints are left out") == 1
    path.write_text("0 0.3125 0.5 0.375 0.5 0.1 0.1\n")
    with pytest.raises(SystemExit, match="line 1: 7 values; class, box and keypoints .* are 11"):
        convert("yolo", "--overwrite")


def test_an_image_without_a_file_is_background_to_yolo(convert, tmp_path, capsys):
    yolo(tmp_path)
    (tmp_path / "labels" / "03.txt").unlink()
    (tmp_path / "labels" / "04.txt").write_text("")
    convert("yolo", "--val-share", "0.1")
    assert "1 image without a .txt: taken as images with nothing to find" in capsys.readouterr().out
    contents = [json.loads(p.read_text()) for p in (tmp_path / "annotations").glob("*.json")]
    assert sum(len(content["images"]) for content in contents) == 10
    assert sum(len(content["annotations"]) for content in contents) == 16


@pytest.mark.parametrize(("write", "first"), [(voc, "JPEGImages/03"), (labelme, "frames/03")])
def test_images_without_labels_are_counted_and_may_be_taken_as_empty(
    write, first, convert, tmp_path, capsys
):
    write(tmp_path)
    for stem in ("03", "04"):
        next(p for p in tmp_path.rglob(f"{stem}.*") if p.suffix != ".png").unlink()
    convert(write.__name__)
    assert (
        f"2 images without labels: left out, as not labelled (the first is {first}.png); where"
        " they show nothing to find, give --unlabelled-are-empty\n"
    ) in capsys.readouterr().out
    assert sum(map(len, splits_of(tmp_path).values())) == 8
    convert(write.__name__, "--unlabelled-are-empty", "--overwrite")
    told = capsys.readouterr().out
    assert "2 images without labels: taken as images with nothing to find\n" in told
    contents = [json.loads(p.read_text()) for p in tmp_path.glob("annotations/*.json")]
    assert sum(len(content["images"]) for content in contents) == 10
    assert sum(len(content["annotations"]) for content in contents) == 16


@pytest.mark.parametrize(
    ("shapes", "message"), [(None, "'shapes' is None, not a list"), (["car"], "shape 1: Attribute")]
)
def test_a_file_of_labelme_without_shapes(shapes, message, convert, tmp_path):
    labelme(tmp_path)
    path = next(tmp_path.rglob("*.json"))
    text(path, dict(json.loads(path.read_text()), shapes=shapes))
    with pytest.raises(SystemExit, match=rf"{path.name}: {message}"):
        convert("labelme")


def test_shapes_of_one_label_and_group_are_one_object(convert, tmp_path, capsys):
    left, right = [[10, 10], [20, 10], [20, 30]], [[30, 12], [40, 12], [40, 34]]
    parts = [("car", 1, left), ("car", 1, right), ("bus", 1, left), ("car", None, left)]
    parts += [("car", None, right), ("car", 2, [left[0], left[2]]), ("car", 2, right)]
    parts += [("bus", 3, [left[0], left[2]]), ("bus", 3, [right[0], right[2]])]
    shapes = [
        dict(label=label, group_id=group, points=points)
        | dict(shape_type="polygon" if len(points) == 3 else "rectangle")
        for label, group, points in parts
    ]
    for path in images(tmp_path, "frames", 2):
        text(path.with_suffix(".json"), dict(shapes=shapes))
    convert("labelme", "--val-share", "0.5")
    content = json.loads((tmp_path / "annotations" / "val.json").read_text())
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    flat = [[value for point in part for value in point] for part in (left, right)]
    corners = [10, 10, 20, 10, 20, 30, 10, 30]
    assert [
        (names[entry["category_id"]], entry["bbox"], entry["area"], entry.get("segmentation"))
        for entry in content["annotations"]
    ] == [
        ("car", [10, 10, 30, 24], 210, flat),
        ("bus", [10, 10, 10, 20], 100, flat[:1]),
        ("car", [10, 10, 10, 20], 100, flat[:1]),
        ("car", [30, 12, 10, 22], 110, flat[1:]),
        ("car", [10, 10, 30, 24], 310, [corners, flat[1]]),
        ("bus", [10, 10, 30, 24], 720, None),
    ]
    told = capsys.readouterr().out
    assert "12 shapes of one label and group_id joined: 6 objects\n" in told


@pytest.mark.parametrize(
    ("share", "message"), [("0.5", "1 image cannot be split by --val-share 0.5, "), ("2", "2")]
)
def test_a_share_that_splits_nothing_is_named_by_its_option(
    share, message, convert, tmp_path, capsys
):
    labelme(tmp_path)
    for path in sorted(tmp_path.rglob("*.json"))[1:]:
        path.unlink()
    with pytest.raises(SystemExit, match=message):
        convert("labelme", "--val-share", share)
    assert ("error: --val-share must be between 0 and 1" in capsys.readouterr().err) == (
        share == "2"
    )


@pytest.mark.parametrize(
    ("write", "spoil", "message"),
    [
        (yolo, ("labels/00.txt", "2 0.5 0.5 0.1 0.1"), "00.txt: line 1: class 2; known: 0 valve"),
        (yolo, ("labels/00.txt", "0 40 30 10 10"), "is in pixels, not in shares"),
        (yolo, ("labels/zz.txt", "0 0.5 0.5 0.1 0.1"), "zz.txt: no image for labels/zz.txt"),
        (yolo, ("data.yaml", "nc: 2"), "no data.yaml, classes.txt or obj.names .*--classes"),
        (voc, ("Annotations/00.xml", "<annotation>"), "00.xml: not an XML file"),
        (cvat, ("annotations.xml", "<annotations/>"), "no \\*.xml of CVAT in it or below"),
        (
            cvat,
            ("annotations.xml", '<annotations><track id="0" label="leak"/></annotations>'),
            "annotations.xml: exported as 'CVAT for video': export it as 'CVAT for images 1.1'",
        ),
        (
            labelme,
            ("frames/00.json", '{"shapes": [{"shape_type": "circle", "points": []}]}'),
            "00.json: shape 1: a circle; rectangles and polygons are read",
        ),
        (
            cvat,
            (
                "annotations.xml",
                '<annotations><image name="00.png"><mask label="leak"/></image>'
                '<image name="01.png"/><image name="02.png"/></annotations>',
            ),
            "tions.xml: frames/00.png: mask of 'leak': boxes and polygons are read, remove it",
        ),
        (
            labelme,
            ("frames/00.json", '{"shapes": [], "imageWidth": 8, "imageHeight": 6}'),
            "80 x 60 pixels, its labels are of 8 x 6: not the image that was labelled",
        ),
        (coco, ("x.json", '{"images": 1, "annotations": [], "categories": []}'), "x.json: not"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(write, spoil, message, convert, tmp_path):
    write(tmp_path)
    text(tmp_path / spoil[0], spoil[1])
    with pytest.raises(SystemExit, match=message):
        convert(write.__name__)
    assert not (tmp_path / "annotations" / "train.json").exists()


def test_two_images_of_one_name_are_not_guessed(convert, tmp_path):
    voc(tmp_path)
    images(tmp_path, "other", 1)
    (tmp_path / "Annotations").rename(tmp_path / "xml")
    with pytest.raises(
        SystemExit, match=r"00.xml: 2 images of this name: JPEGImages/00.png, other"
    ):
        convert("voc")


def test_two_images_of_one_path_are_told_apart_by_their_suffix(convert, tmp_path):
    coco(tmp_path)
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(tmp_path / "images/default/00.bmp")
    convert("coco")  # whose entries have suffixes
    read = [json.loads((tmp_path / f"annotations/{s}.json").read_text()) for s in ("train", "val")]
    names = [entry["file_name"] for content in read for entry in content["images"]]
    assert len(names) == 10 and "images/default/00.bmp" not in names
    text(tmp_path / "classes.txt", "valve\nleak\n")
    text(tmp_path / "labels/default/00.txt", "0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(SystemExit, match=r"00.txt: 2 images of this name: images/default/00.bmp"):
        convert("yolo", "--overwrite")


def test_paths_of_windows_are_read(convert, tmp_path):
    labelme(tmp_path)
    for path in (tmp_path / "frames").glob("*.json"):
        content = json.loads(path.read_text())
        name = f"C:\\recordings\\test\\{content['imagePath']}"  # whose 'test' is no split here
        text(path, content | dict(imagePath=name))
    (tmp_path / "frames").rename(tmp_path / "train")
    convert("labelme")
    content = json.loads((tmp_path / "annotations/train.json").read_text())
    assert len(content["images"]) == 10 and len(content["annotations"]) == 20


def test_the_same_command_again_reads_the_tools_file_not_its_own(convert, tmp_path):
    coco(tmp_path)
    convert("coco")
    first = (tmp_path / "annotations" / "train.json").read_bytes()
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"{split}.json").rename(tmp_path / f"{split}_old.json")
    convert("coco")
    assert (tmp_path / "annotations" / "train.json").read_bytes() == first


@pytest.mark.parametrize(
    ("write", "file", "copy", "image"),
    [
        (yolo, "images/00.txt", "labels/00.txt", "images/00.png"),
        (voc, "Annotations/00.xml", "second/00.xml", "JPEGImages/00.png"),
        (labelme, "frames/00.json", "second/00.json", "frames/00.png"),
        (cvat, "annotations.xml", "second.xml", "frames/00.png"),
        (coco, "annotations/instances_default.json", "second.json", "images/default/00.png"),
    ],
)
def test_two_label_files_of_one_image_are_both_named(write, file, copy, image, convert, tmp_path):
    write(tmp_path)
    there, new = (file, copy) if (tmp_path / file).exists() else (copy, file)
    text(tmp_path / new, (tmp_path / there).read_text())
    message = f"error: {tmp_path / copy}: {image} is labelled in {tmp_path / file} too"
    with pytest.raises(SystemExit, match=f"^{re.escape(message)}$"):
        convert(write.__name__)


def test_a_label_is_not_of_another_splits_image(convert, tmp_path):
    text(tmp_path / "classes.txt", "valve\n")
    images(tmp_path, "images/train", 3)
    images(tmp_path, "images/val", 1)[0].rename(tmp_path / "images/val/09.png")
    # No such folder among the images, but of the same split.
    text(tmp_path / "labels/valid/09.txt", "0 0.5 0.5 0.1 0.1\n")
    convert("yolo")
    content = json.loads((tmp_path / "annotations/val.json").read_text())
    assert len(content["annotations"]) == 1
    text(tmp_path / "labels/valid/00.txt", "0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(
        SystemExit, match="valid/00.txt: no image but images/train/00.png, of another split"
    ):
        convert("yolo", "--overwrite")


def test_a_turned_box_of_cvat_is_an_outline(convert, tmp_path):
    images(tmp_path, "frames", 2)
    box = '<box label="valve" xtl="20" ytl="20" xbr="60" ybr="40" rotation="{}"/>'
    entries = "".join(
        f'<image name="{i:02}.png"><tag label="seen"/>{box.format(degrees)}</image>'
        for i, degrees in enumerate(("90.00", "30.00"))
    )
    text(tmp_path / "a.xml", f"<annotations>{entries}</annotations>")
    text(tmp_path / "all.txt", "00\n01\n")
    convert("cvat", "--list", "train=all.txt")
    content = json.loads((tmp_path / "annotations/train.json").read_text())
    upright, slanted = content["annotations"]
    assert upright["bbox"] == [30, 10, 20, 40]
    assert upright["segmentation"] == [[50, 10, 50, 50, 30, 50, 30, 10]]
    # Clockwise: the upper right corner of the box lies lower than the upper left one.
    corners = [27.679, 11.34, 62.321, 31.34, 52.321, 48.66, 17.679, 28.66]
    assert slanted["segmentation"] == [corners] and slanted["area"] == pytest.approx(800, abs=0.1)


def test_yolo_files_beside_images_of_capital_suffix_and_of_the_lists_names(convert, tmp_path):
    text(tmp_path / "classes.txt", "valve\n")
    for path, name in zip(images(tmp_path, ".", 4), ("a.PNG", "b.PNG", "test.png", "train.png")):
        path.rename(tmp_path / name)
        text((tmp_path / name).with_suffix(".txt"), "0 0.5 0.5 0.1 0.1\n")
    convert("yolo")
    contents = [json.loads(p.read_text()) for p in (tmp_path / "annotations").glob("*.json")]
    assert sum(len(content["annotations"]) for content in contents) == 4


def test_labels_without_an_object_need_class_names(convert, tmp_path):
    for path in images(tmp_path, ".", 5):
        text(path.with_suffix(".xml"), "<annotation/>")
    with pytest.raises(
        SystemExit, match="^error: no object in labels of 5 images: give --classes$"
    ):
        convert("voc")
    assert not (tmp_path / "annotations").exists()
    convert("voc", "--classes", "valve")
    content = json.loads((tmp_path / "annotations/train.json").read_text())
    assert len(content["images"]) == 4 and content["annotations"] == []
