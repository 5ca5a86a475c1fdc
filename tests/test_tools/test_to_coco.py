"""Labels in the layouts of published data sets become COCO files that the data sets read."""

import json
import logging
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from mmspec.registry import DATASETS

TOOL = Path(__file__).resolve().parents[2] / "tools/dataset_converters/to_coco.py"
sys.path.insert(0, str(TOOL.parent))

from coco_layouts import draw_split  # noqa: E402

WIDTH, HEIGHT = 80, 60
LOAD = [dict(type="mmspec.LoadRGBTImageFromFile")]
XML = """<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{objects}
</annotation>"""
OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>
<ymax>{}</ymax></bndbox></object>"""


def image(path, level=90, colour=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (HEIGHT, WIDTH, 3) if colour else (HEIGHT, WIDTH)
    Image.fromarray(np.full(shape, level, np.uint8)).save(path)


def text(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def xml(path, *objects, size=(WIDTH, HEIGHT)):
    text(path, XML.format(size=size, objects="".join(OBJECT.format(*item) for item in objects)))


def m3fd(root, count=10):
    for i in range(count):
        image(root / "Ir" / f"{i:05}.png")
        image(root / "Vis" / f"{i:05}.png", 30, colour=True)
        xml(root / "Annotation" / f"{i:05}.xml", ("Lamp", 10, 20, 30, 50), ("People", 0, 0, 5, 6))


def m3fd_yolo(root, count=10):
    for i in range(count):
        image(root / "ir" / f"{i:05}.png")
        image(root / "vi" / f"{i:05}.png", 30, colour=True)
        lines = "3 0.25 0.583333333 0.25 0.5\n\n0 0.03125 0.05 0.0625 0.1\n"
        text(root / "labels" / f"{i:05}.txt", lines)


def llvip(root):
    for split, name in (("train", "010001"), ("train", "010002"), ("test", "190001")):
        image(root / "infrared" / split / f"{name}.jpg")
        image(root / "visible" / split / f"{name}.jpg", 30, colour=True)
        xml(root / "Annotations" / f"{name}.xml", ("person", 10, 20, 30, 50))


def flir(root):
    for number in (2, 5, 8864):
        stem = f"FLIR_{number:05}"
        image(root / "JPEGImages" / f"{stem}_PreviewData.jpeg")
        image(root / "JPEGImages" / f"{stem}_RGB.jpg", 30, colour=True)
        xml(
            root / "Annotations" / f"{stem}_PreviewData.xml",
            ("car", 10, 20, 30, 50),
            ("dog", 1, 1, 9, 9),
        )
    text(root / "align_train.txt", "FLIR_00002_PreviewData\nFLIR_00005\n")
    text(root / "align_validation.txt", "FLIR_08864_PreviewData")


KAIST_LABELS = """% bbGt version=3
person 10 20 20 30 0 0 0 0 0 0 0
person? 1 1 9 9 0 0 0 0 0 0 0
person 5 5 20 30 2 0 0 0 0 1 0
"""


def kaist(root, place="{folder}/{frame}.txt"):
    names = dict(train=["set00/V000/I00001"], test=["set06/V000/I00019", "set06/V000/I00039"])
    for split, listed in (("train-all-02", names["train"]), ("test-all-20", names["test"])):
        text(root / "imageSets" / f"{split}.txt", "\n".join(listed))
        for name in listed:
            folder, frame = name.rsplit("/", 1)
            image(root / "images" / folder / "lwir" / f"{frame}.jpg")
            image(root / "images" / folder / "visible" / f"{frame}.jpg", 30, colour=True)
            path = place.format(folder=folder, frame=frame, flat=name.replace("/", "_"))
            text(root / "annotations" / path, KAIST_LABELS)


def msrs(root):
    for split, names in (("train", ("00001D", "00002N")), ("test", ("00004N",))):
        for name in names:
            image(root / "MSRS" / split / "ir" / f"{name}.png")
            image(root / "MSRS" / split / "vi" / f"{name}.png", 30, colour=True)
            for number, kind in enumerate(("infrared", "visible", "fusion")):
                labels = root / "MSRS-detection-label" / kind / split / f"{name}.txt"
                text(labels, f"{number} 0.25 0.583333333 0.25 0.5\n")


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name="__main__")
        except SystemExit as error:
            status = error.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def content(path):
    return json.loads(path.read_text())


LAYOUTS = {
    "m3fd": (m3fd, "M3FDDataset", dict(train=8, test=2), 4),
    "m3fd-yolo": (m3fd_yolo, "M3FDDataset", dict(train=8, test=2), 4),
    "llvip": (llvip, "LLVIPDataset", dict(train=2, test=1), 0),
    "flir": (flir, "FLIRDataset", dict(train=2, val=1), 2),
    "kaist": (kaist, "KAISTDataset", dict(train=1, test=2), 0),
    "msrs": (msrs, "MSRSDetDataset", dict(train=2, test=1), 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_becomes_a_data_set(tmp_path, run, layout):
    make, name, splits, label = LAYOUTS[layout]
    make(tmp_path)
    status, out, _ = run(layout, tmp_path)
    assert status == 0 and out.count(".json: ") == len(splits) * (3 if layout == "msrs" else 1)
    stems = []
    for split, count in splits.items():
        for modality, level in (("infrared", 90), ("visible", 30)):
            labels = dict(labels="infrared") if layout == "msrs" else {}
            dataset = DATASETS.build(
                dict(
                    type=f"mmspec.{name}", data_root=str(tmp_path), split=split, modality=modality,
                    pipeline=LOAD, **labels,
                )
            )  # fmt: skip
            assert len(dataset) == count
            for sample in dataset:
                assert (sample["img"] == level).all()
                found = [i for i in sample["instances"] if i["bbox_label"] == label]
                assert found[0]["ignore_flag"] == 0
                assert found[0]["bbox"] == pytest.approx([10, 20, 30, 50], abs=0.002)
        stems += [Path(sample["img_path"]).stem for sample in dataset]
    assert len(stems) == len(set(stems)) == sum(splits.values())


def store_on_its_side(path):
    """As a camera does that is held upright: the file is turned, its EXIF tag says how."""
    with Image.open(path) as upright:
        exif = Image.Exif()
        exif[0x0112] = 6
        upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_are_those_of_the_upright_images(tmp_path, run, layout):
    make, _, splits, _ = LAYOUTS[layout]
    make(tmp_path / "plain")
    make(tmp_path / "turned")
    images = [p for p in (tmp_path / "turned").rglob("*") if p.suffix in (".png", ".jpg", ".jpeg")]
    for path in images:
        store_on_its_side(path)
    assert images
    for root in ("plain", "turned"):
        assert run(layout, tmp_path / root)[0] == 0
    prefix = "infrared_" if layout == "msrs" else ""
    for split in splits:
        plain, turned = (
            content(tmp_path / root / f"annotations/{prefix}{split}.json")
            for root in ("plain", "turned")
        )
        assert turned == plain
        assert {(i["width"], i["height"]) for i in turned["images"]} == {(WIDTH, HEIGHT)}


def test_an_xml_with_the_size_of_the_stored_pixels_is_refused(tmp_path, run):
    m3fd(tmp_path)
    store_on_its_side(tmp_path / "Ir/00003.png")
    xml(tmp_path / "Annotation/00003.xml", ("Lamp", 10, 20, 30, 50), size=(HEIGHT, WIDTH))
    assert (
        "00003.xml: its image has 80 x 60 pixels, its boxes are for an image of 60 x 80: drawn"
        " before the image was turned upright by its orientation tag?"
    ) in run("m3fd", tmp_path)[0]


def test_xml_and_yolo_of_m3fd_give_the_same_boxes_and_split(tmp_path, run):
    m3fd(tmp_path / "xml")
    m3fd_yolo(tmp_path / "yolo")
    run("m3fd", tmp_path / "xml")
    run("m3fd-yolo", tmp_path / "yolo")
    for split in ("train", "test"):
        ours, theirs = (
            content(tmp_path / kind / f"annotations/{split}.json") for kind in ("xml", "yolo")
        )
        assert ours["annotations"] == theirs["annotations"]
        assert ours["categories"] == theirs["categories"]
        assert [i["file_name"].lower() for i in ours["images"]] == [
            i["file_name"] for i in theirs["images"]
        ]
    assert [c["name"] for c in ours["categories"]] == [
        "People", "Car", "Bus", "Motorcycle", "Lamp", "Truck",
    ]  # fmt: skip


def test_yolo_classes_in_another_order(tmp_path, run):
    m3fd_yolo(tmp_path)
    order = ["Car", "Bus", "Lamp", "Motorcycle", "Truck", "People"]
    assert run("m3fd-yolo", tmp_path, "--classes", *order)[0] == 0
    boxes = content(tmp_path / "annotations/train.json")["annotations"]
    assert [box["category_id"] for box in boxes[:2]] == [4, 2]  # 3 Motorcycle, 0 Car
    status, _, _ = run("m3fd-yolo", tmp_path, "--classes", *order[1:], "--out", tmp_path / "x")
    assert "--classes Bus Lamp Motorcycle Truck People" in status


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_split(tmp_path, run):
    m3fd(tmp_path)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("m3fd", tmp_path, "--out", tmp_path / name, "--seed", seed, "--test-share", 0.3)
    files = {n: (tmp_path / n / "test.json").read_bytes() for n in "abc"}
    assert files["a"] == files["b"] != files["c"]
    assert (tmp_path / "a/train.json").read_bytes() == (tmp_path / "b/train.json").read_bytes()
    test = content(tmp_path / "a/test.json")
    assert len(test["images"]) == 3
    assert test["info"]["description"] == "M3FD; drawn by to_coco.py, seed 3, test share 0.3"
    assert [i["id"] for i in test["images"]] == [1, 2, 3]
    assert [a["id"] for a in test["annotations"]] == [1, 2, 3, 4, 5, 6]


def test_the_split_of_4200_images():
    names = [f"{i:05}" for i in range(4200)]
    split = draw_split(reversed(names), 0.2, 0)
    assert {name: len(part) for name, part in split.items()} == dict(train=3360, test=840)
    assert sorted(split["train"] + split["test"]) == names
    # Written down once: another machine or Python must draw the same.
    assert split["test"][:5] == ["00005", "00008", "00014", "00015", "00018"]
    fewer = draw_split(names[:-100], 0.2, 0)
    assert len(set(fewer["test"]) & set(split["test"])) > 780


def test_lists_take_the_place_of_the_draw(tmp_path, run):
    m3fd_yolo(tmp_path)
    text(tmp_path / "meta/train.txt", "00003.png\n00001.png\n")
    text(tmp_path / "meta/val.txt", "00000.png\n")
    assert run("m3fd-yolo", tmp_path, "--list", "train=meta/train.txt", "val=meta/val.txt")[0] == 0
    files = [i["file_name"] for i in content(tmp_path / "annotations/train.json")["images"]]
    assert files == ["ir/00003.png", "ir/00001.png"]
    text(tmp_path / "meta/val.txt", "00001.png\n")
    status, _, _ = run("m3fd-yolo", tmp_path, "--out", tmp_path / "x", "--list",
                       "train=meta/train.txt", "val=meta/val.txt")  # fmt: skip
    assert status == "error: 00001 is in train and again in val"


def test_kaist_boxes_to_ignore(tmp_path, run):
    kaist(tmp_path)
    status, out, _ = run("kaist", tmp_path)
    assert status == 0 and "test.json: 2 images; 2 person, 4 to ignore" in out
    written = content(tmp_path / "annotations/train.json")
    assert written["images"][0]["file_name"] == "images/set00/V000/lwir/I00001.jpg"
    assert written["images"][0]["visible_file_name"] == "images/set00/V000/visible/I00001.jpg"
    assert [box["iscrowd"] for box in written["annotations"]] == [0, 1, 1]
    assert {box["category_id"] for box in written["annotations"]} == {1}


@pytest.mark.parametrize("place", ["{folder}/lwir/{frame}.txt", "{flat}.txt"])
def test_kaist_labels_of_later_papers(tmp_path, run, place):
    kaist(tmp_path, place)
    (tmp_path / "annotations").rename(tmp_path / "paired")
    assert run("kaist", tmp_path, "--annotations", "paired")[0] == 0
    assert len(content(tmp_path / "annotations/test.json")["annotations"]) == 6


def test_dogs_of_flir_are_left_out_and_counted(tmp_path, run):
    flir(tmp_path)
    _, out, _ = run("flir", tmp_path)
    assert "train.json: 2 images; 0 person, 0 bicycle, 2 car, 2 dog left out" in out
    image_ = content(tmp_path / "annotations/val.json")["images"][0]
    assert image_["visible_file_name"] == "JPEGImages/FLIR_08864_RGB.jpg"


def test_infrared_alone_will_do(tmp_path, run):
    m3fd(tmp_path)
    for path in (tmp_path / "Vis").iterdir():
        path.unlink()
    (tmp_path / "Vis").rmdir()
    assert run("m3fd", tmp_path)[0] == 0
    assert "visible_file_name" not in content(tmp_path / "annotations/test.json")["images"][0]


def kaist_image(number):
    name = f"set06/V000/I{number:05}"
    return dict(id=number, im_name=name, width=WIDTH, height=HEIGHT)


def kaist_json(root, images=None, **changes):
    box = dict(id=5, image_id=0, category_id=1, bbox=[3, 2, 9, 30], ignore=0)
    content = dict(
        images=images or [kaist_image(0)],
        annotations=[box | dict(height=30, occlusion=0) | changes],
        categories=[dict(id=1, name="person")],
    )
    text(root / "KAIST_annotation.json", json.dumps(content))


def test_marks_written_as_text(tmp_path, run):
    kaist_json(tmp_path, ignore="0")
    assert run("kaist-json", tmp_path)[0] == 0
    (box,) = content(tmp_path / "annotations/test.json")["annotations"]
    assert (box["iscrowd"], box["bbox"], box["occlusion"]) == (0, [3, 2, 9, 30], 0)


def test_difficult_objects_of_voc_are_to_ignore(tmp_path, run):
    llvip(tmp_path)
    path = tmp_path / "Annotations/010001.xml"
    xml(path, ("person", 10, 20, 30, 50), ("person", 40, 20, 60, 50))
    one, two = "<difficult>1</difficult><bndbox>", "<difficult>0</difficult><bndbox>"
    halves = path.read_text().split("<bndbox>")
    path.write_text(halves[0] + one + halves[1] + two + halves[2])
    status, out, _ = run("llvip", tmp_path)
    assert status == 0 and "train.json: 2 images; 2 person, 1 to ignore" in out
    boxes = content(tmp_path / "annotations/train.json")["annotations"]
    assert [box["iscrowd"] for box in boxes] == [1, 0, 0]
    dataset = DATASETS.build(dict(type="mmspec.LLVIPDataset", data_root=str(tmp_path)))
    assert [i["ignore_flag"] for i in dataset.get_data_info(0)["instances"]] == [1, 0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("<annotation>", '<annotation xmlns="http://example.org/voc">'),
        lambda text: text.replace("<width>80<", "<width> 80.0\n<"),
        lambda text: text.replace("<width>80<", "<width><").replace("<height>60<", "<height>0<"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: ('<?xml version="1.0" encoding="utf-16"?>' + text).encode("utf-16"),
    ],
    ids=["namespace", "size as a number", "no size", "byte-order mark", "utf-16"],
)
def test_xml_as_programs_write_it(tmp_path, run, edit):
    m3fd(tmp_path / "plain")
    voc(edit)(tmp_path / "edited")
    for root in ("plain", "edited"):
        assert run("m3fd", tmp_path / root)[0] == 0
    for split in ("train", "test"):
        plain, edited = (
            content(tmp_path / root / f"annotations/{split}.json") for root in ("plain", "edited")
        )
        assert edited == plain


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_with_a_byte_order_mark(tmp_path, run, encoding):
    def encode(path):
        path.write_bytes(path.read_text().encode(encoding))

    m3fd_yolo(tmp_path / "yolo")
    kaist(tmp_path / "kaist")
    text(tmp_path / "yolo/train.txt", "00003\n00001\n")
    for path in tmp_path.rglob("*.txt"):
        encode(path)
    assert run("m3fd-yolo", tmp_path / "yolo", "--list", "train=train.txt")[0] == 0
    files = [i["file_name"] for i in content(tmp_path / "yolo/annotations/train.json")["images"]]
    assert files == ["ir/00003.png", "ir/00001.png"]
    status, out, _ = run("kaist", tmp_path / "kaist")
    assert status == 0 and "test.json: 2 images; 2 person, 4 to ignore" in out


def test_a_name_twice_in_a_list_counts_once(tmp_path, run, caplog, monkeypatch):
    logger = logging.getLogger("lists")
    monkeypatch.setattr(MMLogger, "get_current_instance", lambda: logger)
    flir(tmp_path)
    names = ["FLIR_00002_PreviewData", "FLIR_00005", "FLIR_00002", "FLIR_00005.jpeg"]
    text(tmp_path / "align_train.txt", "\n".join(names))
    status, out, _ = run("flir", tmp_path)
    assert status == 0 and "train.json: 2 images; 0 person" in out
    assert "align_train.txt: 2 of 4 entries repeat a name" in caplog.text


def spoil(make, path, write):
    """Make a layout and spoil one of its files: new content, or gone (None)."""

    def call(root):
        make(root)
        file = root / path
        file.unlink() if write is None else text(file, write)

    return call


def voc(edit):
    """M3FD of which one XML file is edited, from its text to its text or bytes."""

    def call(root):
        m3fd(root)
        path = root / "Annotation/00003.xml"
        content = edit(path.read_text())
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return call


FAULTS = {
    "reversed": (
        "m3fd",
        lambda root: (m3fd(root), xml(root / "Annotation/00003.xml", ("Car", 30, 2, 3, 4))),
        r"00003\.xml: object 1: a box of -27 x 2 pixels; are its corners exchanged\?",
    ),
    "another xml": (
        "m3fd",
        spoil(m3fd, "Annotation/00003.xml", "<annotations><image/></annotations>"),
        r"00003\.xml: <annotations>, not the <annotation> of a Pascal VOC file",
    ),
    "size of no numbers": (
        "m3fd",
        voc(lambda text: text.replace("<width>80", "<width>wide")),
        r"00003\.xml: width and height are \['wide', '60'\], not numbers",
    ),
    "difficult": (
        "m3fd",
        voc(lambda text: text.replace("<bndbox>", "<difficult>maybe</difficult><bndbox>", 1)),
        r"00003\.xml: object 1: difficult: 'maybe' is neither 0 nor 1",
    ),
    "encoding of the xml": (
        "m3fd",
        voc(lambda text: '<?xml version="1.0" encoding="gb2312"?>' + text),
        r"00003\.xml: not an XML file \(multi-byte encodings",
    ),
    "unknown encoding of the xml": (
        "m3fd",
        voc(lambda text: '<?xml version="1.0" encoding="nonsense"?>' + text),
        r"00003\.xml: not an XML file \(",
    ),
    "bytes of the xml": (
        "m3fd",
        voc(lambda text: text.replace("Lamp", "L\u00e4mp").encode("latin-1")),
        r"00003\.xml: not an XML file \(not well-formed",
    ),
    "share above 1": (
        "m3fd-yolo",
        spoil(m3fd_yolo, "labels/00003.txt", "0 .5 .5 .1 .1\n0 .5 1.01 .1 .1"),
        r"00003\.txt: line 2: '0 \.5 1\.01 \.1 \.1' has a share outside 0 to 1",
    ),
    "negative share": (
        "m3fd-yolo",
        spoil(m3fd_yolo, "labels/00003.txt", "0 .5 .5 -.1 .1"),
        r"00003\.txt: line 1: '0 \.5 \.5 -\.1 \.1' has a share outside 0 to 1",
    ),
    "yolo in another encoding": (
        "m3fd-yolo",
        lambda root: (
            m3fd_yolo(root),
            (root / "labels/00003.txt").write_bytes(b"0 .5 .5 .1 .1\n\xa0\n"),
        ),
        r"00003\.txt: line 2 is not utf-8 \(byte 0xa0\)",
    ),
    "kaist reversed": (
        "kaist",
        spoil(kaist, "annotations/set00/V000/I00001.txt",
              "% bbGt version=3\nperson 30 20 -20 30 0 0 0 0 0 0 0"),
        r"I00001\.txt: line 2: a box of -20 x 30 pixels",
    ),
    "kaist frame": (
        "kaist",
        spoil(kaist, "imageSets/train-all-02.txt", "I00001"),
        r"split 'train': 'I00001' is not as set00/V000/I00001",
    ),
    "kaist json is gone": ("kaist-json", lambda root: None, r"KAIST_annotation\.json"),
    "kaist json, image twice": (
        "kaist-json",
        lambda root: kaist_json(root, images=2 * [kaist_image(0)]),
        r"not KAIST's annotation JSON \(ValueError: two images have the id 0\)",
    ),
    "kaist json, reversed": (
        "kaist-json",
        lambda root: kaist_json(root, bbox=[30, 20, -9, 30]),
        r"KAIST_annotation\.json: annotation 5: a box of -9 x 30 pixels",
    ),
    "kaist json, ids as text": (
        "kaist-json",
        lambda root: kaist_json(root, image_id="0"),
        r"KAIST_annotation\.json: not KAIST's annotation JSON \(KeyError: '0'\)",
    ),
    "no image": ("m3fd", spoil(m3fd, "Ir/00003.png", None), r"1 files without image.*00003\.xml"),
    "no label": ("m3fd", spoil(m3fd, "Annotation/00003.xml", None), r"without labels.*00003\.png"),
    "no xml": ("m3fd", spoil(m3fd, "Annotation/00003.xml", "<a>"), r"00003\.xml: not an XML file"),
    "no picture": ("m3fd", spoil(m3fd, "Ir/00003.png", "x"), r"00003\.png: cannot be opened"),
    "other size": (
        "m3fd",
        lambda root: (m3fd(root), xml(root / "Annotation/00003.xml", size=(640, 480))),
        r"00003\.xml: its image has 80 x 60 pixels, its boxes are for an image of 640 x 480: they",
    ),
    "no corners": (
        "m3fd",
        lambda root: (m3fd(root), xml(root / "Annotation/00003.xml", ("Car", 1, 2, 3, "nan"))),
        r"00003\.xml: object 1: name 'Car' and corners \['1', '2', '3', 'nan'\]",
    ),
    "other class": (
        "m3fd",
        lambda root: (m3fd(root), xml(root / "Annotation/00003.xml", ("Tram", 1, 2, 3, 4))),
        r"Ir/00003\.png: object 1 is a 'Tram'; known: People, Car, Bus",
    ),
    "other number": (
        "m3fd-yolo",
        spoil(m3fd_yolo, "labels/00003.txt", "0 .5 .5 .1 .1\n6 .5 .5 .1 .1"),
        r"00003\.txt: line 2: class 6; known: 0 People, 1 Car, 2 Bus, 3 Lamp",
    ),
    "no numbers": (
        "m3fd-yolo",
        spoil(m3fd_yolo, "labels/00003.txt", "0 .5 .5 .1"),
        r"00003\.txt: line 1: '0 \.5 \.5 \.1', not class, cx, cy, w, h",
    ),
    "pixels": (
        "m3fd-yolo",
        spoil(m3fd_yolo, "labels/00003.txt", "0 40 30 10 10"),
        r"00003\.txt: line 1: .* is in pixels, not in shares",
    ),
    "twice": (
        "llvip",
        lambda root: (llvip(root), image(root / "infrared/test/010001.jpg")),
        r"010001 is in train and again in test",
    ),
    "absent": (
        "flir",
        spoil(flir, "align_train.txt", "FLIR_00009_PreviewData"),
        r"split 'train': no FLIR_00009_PreviewData in .*JPEGImages",
    ),
    "empty list": ("flir", spoil(flir, "align_train.txt", "\n"), r"align_train\.txt: an empty"),
    "kaist head": (
        "kaist",
        spoil(kaist, "annotations/set00/V000/I00001.txt", "person 1 2 3 4"),
        r"I00001\.txt: does not begin with '% bbGt version=3'",
    ),
    "kaist label": (
        "kaist",
        spoil(kaist, "annotations/set00/V000/I00001.txt",
              "% bbGt version=3\nhorse 1 2 3 4 0 0 0 0 0 0 0"),
        r"I00001\.txt: line 2: label 'horse'; known: person, people",
    ),
    "kaist absent": (
        "kaist",
        spoil(kaist, "annotations/set00/V000/I00001.txt", None),
        r"annotations: none of set00/V000/I00001\.txt, set00/V000/lwir/I00001\.txt, set00_V000",
    ),
    "no folder": ("llvip", lambda root: None, r"no folder Annotations"),
    "kaist json": (
        "kaist-json",
        lambda root: text(root / "KAIST_annotation.json", '{"images": []}'),
        r"KAIST_annotation\.json: not KAIST's annotation JSON \(KeyError: 'categories'\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_name_file_and_entry_and_nothing_is_written(tmp_path, run, fault):
    layout, make, message = FAULTS[fault]
    make(tmp_path)
    before = sorted(tmp_path.rglob("*.json"))
    status, _, _ = run(layout, tmp_path)
    assert re.match(f"error: .*{message}", status)
    assert sorted(tmp_path.rglob("*.json")) == before


def test_existing_files_are_kept(tmp_path, run):
    m3fd(tmp_path)
    text(tmp_path / "annotations/test.json", "mine")
    status, _, _ = run("m3fd", tmp_path)
    assert status == f"error: {tmp_path}/annotations/test.json exists: give --overwrite, or --out"
    assert (tmp_path / "annotations/test.json").read_text() == "mine"
    assert not (tmp_path / "annotations/train.json").exists()
    run("m3fd", tmp_path, "--overwrite")
    assert (tmp_path / "annotations/train.json").exists()
    assert (tmp_path / "annotations/test.json").read_text() != "mine"


def test_real_msrs_boxes_are_those_of_the_derived_files(data_root, tmp_path, run):
    root = data_root / "msrs_det"
    if not root.is_dir():
        pytest.skip(f"no msrs_det in {data_root}")
    status, _, _ = run("msrs", root, "--out", tmp_path)
    assert status == 0
    for path in sorted((root / "annotations").glob("*.json")):
        ours, theirs = content(tmp_path / path.name), content(path)

        def boxes(raw):
            files = {i["id"]: i["file_name"] for i in raw["images"]}
            names = {c["id"]: c["name"] for c in raw["categories"]}
            return [
                (files[a["image_id"]], names[a["category_id"]], a["bbox"])
                for a in raw["annotations"]
            ]

        ours, theirs = sorted(boxes(ours)), sorted(boxes(theirs))
        assert [item[:2] for item in ours] == [item[:2] for item in theirs]
        np.testing.assert_allclose(
            [item[2] for item in ours], [item[2] for item in theirs], atol=0.011
        )


def test_real_kaist_test_annotations(data_root, tmp_path, run):
    root = data_root / "kaist_eval"
    if not root.is_dir():
        pytest.skip(f"no kaist_eval in {data_root}")
    status, out, _ = run("kaist-json", root, "--out", tmp_path)
    assert status == 0 and "test.json: 2,252 images; 3,390 person, 864 to ignore" in out
    dataset = DATASETS.build(
        dict(
            type="mmspec.KAISTDataset",
            data_root=str(tmp_path),
            ann_file="test.json",
            backend_args=dict(backend="local"),  # no images here, so none are looked for
            test_mode=True,
        )
    )
    assert len(dataset) == 2252
    assert sum(not i["ignore_flag"] for s in map(dataset.get_data_info, range(2252))
               for i in s["instances"]) == 3390  # fmt: skip
    first = content(tmp_path / "test.json")["annotations"][0]
    assert first["height"] == 50 and first["occlusion"] == 0
