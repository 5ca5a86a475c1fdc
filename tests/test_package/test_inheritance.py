"""Values that a child config sets and its base has used already."""

from pathlib import Path

import pytest
from mmengine.config import Config
from processes import run

from mmspec.engine.inheritance import InheritedValueError, check_inherited_values
from mmspec.engine.launch import LaunchError, read_config

REPO = Path(__file__).resolve().parents[2]
BASE = """
data_root = 'data'
batch_size = 2
crop_size = (32, 64)
scale = (4 * crop_size[1], crop_size[0])
max_epochs = 10
lr = 1e-4
pipeline = [dict(type='Resize', scale=scale), dict(type='Crop', size=crop_size)]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    dataset=dict(root=f'{data_root}/train', pipeline=pipeline))
test_dataloader = dict(batch_size=1, dataset=dict(data_root=data_root))
num_train, num_test = 8, 4
if num_test:
    shuffle = False
val_dataloader = dict(length=num_test, shuffle=shuffle)
auto_scale_lr = dict(base_batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=lr * batch_size))
param_scheduler = [dict(type='Cosine', end=max_epochs)]
"""


@pytest.fixture
def child(tmp_path):
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "middle.py").write_text("_base_ = './base.py'\nload_from = 'a.pth'\n")

    def write(text: str, base: str = "base.py") -> Path:
        file = tmp_path / "child.py"
        file.write_text(f"_base_ = ['./{base}']\n{text}\n")
        return file

    return write


def lines_of(error) -> list[str]:
    return [line[4:] for line in str(error.value).splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("base", ["base.py", "middle.py"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "batch_size = 8",
            {
                "train_dataloader.batch_size": 8,
                "optim_wrapper.optimizer.lr": 8e-4,
                "test_dataloader.batch_size": 1,  # 1 of its own
            },
        ),
        (
            "crop_size = (16, 16)",
            {
                "train_dataloader.dataset.pipeline.0.scale": (64, 16),
                "train_dataloader.dataset.pipeline.1.size": (16, 16),
            },
        ),
        ("scale = (9, 9)", {"train_dataloader.dataset.pipeline.0.scale": (9, 9)}),
        (
            "data_root = 'mine'",
            {
                "train_dataloader.dataset.root": "mine/train",
                "test_dataloader.dataset.data_root": "mine",
            },
        ),
        # However it is set, here and in the base.
        ("num_test = 2", {"val_dataloader.length": 2}),
        ("shuffle = True", {"val_dataloader.shuffle": True}),
        ("num_test, num_train = 2, 2", {"val_dataloader.length": 2}),
        ("num_test : int = 2", {"val_dataloader.length": 2}),
        ("max_epochs = 3", {"train_cfg.max_epochs": 3, "param_scheduler.0.end": 3}),
        # Parts of a config that are not passed on.
        (
            "pipeline = [dict(type='Other')]",
            {"train_dataloader.dataset.pipeline": [dict(type="Other")]},
        ),
        (
            "pipeline = _base_.pipeline\npipeline[0].update(scale=(7, 7))",
            {"train_dataloader.dataset.pipeline.0.scale": (7, 7)},
        ),
        # In no base, and read by nothing.
        ("num_workers = 0", {"train_dataloader.num_workers": 0}),
        # Half of the places.
        (
            "batch_size = 8\ntrain_dataloader = dict(batch_size=batch_size)",
            {"optim_wrapper.optimizer.lr": 8e-4},
        ),
    ],
)
def test_a_value_without_effect_is_refused_and_the_lines_help(child, text, base, expected):
    file = child(text, base)
    with pytest.raises(InheritedValueError) as error:
        check_inherited_values(file)
    name = text.split(" ")[0].removesuffix(",")
    assert str(error.value).startswith(f"{file}: {name} = ")
    with pytest.raises(LaunchError, match="has no effect"):
        read_config(str(file))

    # Written below what was there, the lines do what was meant.
    file = child("\n".join([text, *lines_of(error)]), base)
    check_inherited_values(file)
    cfg = Config.fromfile(file)
    for place, value in expected.items():
        node = cfg
        for key in place.split("."):
            node = node[int(key)] if key.isdigit() else node[key]
        assert node == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch_size = 2",
        "train_dataloader = dict(batch_size=8)",
        "work_dir = 'elsewhere'",
        "lr = 1e-4\nmax_epochs = 10",
        # Each place has a value of the child's own.
        "lr = 1e-3\noptim_wrapper = dict(optimizer=dict(lr=lr))",
        "lr = 1e-3\noptim_wrapper = dict(optimizer=dict(lr=5.0))",
        "scale = (9, 9)\npipeline = [dict(type='Other')]\n"
        "train_dataloader = dict(dataset=dict(pipeline=pipeline))",
        "optim_wrapper = dict(_delete_=True, type='SGD')\nlr = 7",
        # The batch that the rate is for remains what it was.
        "batch_size = 8\ntrain_dataloader = dict(batch_size=batch_size)\n"
        "optim_wrapper = dict(optimizer=dict(lr=1e-3))",
        "note = 'mine'",
        "pipeline = _base_.pipeline\npipeline[0].update(scale=(7, 7))\n"
        "train_dataloader = dict(dataset=dict(pipeline=pipeline))",
        "lr = float('inf')\noptim_wrapper = dict(optimizer=dict(lr=lr))",
    ],
)
def test_a_child_whose_values_act_is_taken(child, text):
    check_inherited_values(child(text))


def test_a_file_in_between_is_checked_too(child, tmp_path):
    (tmp_path / "middle.py").write_text("_base_ = './base.py'\nbatch_size = 4\n")
    with pytest.raises(InheritedValueError, match=r"middle.py: batch_size = 4 has no effect"):
        check_inherited_values(child("", "middle.py"))


def test_configs_that_are_no_text_with_a_base_are_left_alone(tmp_path):
    for name, text in (
        ("a.json", "{}"),
        ("b.py", "x = 1"),
        ("c.py", "_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'\nmodel = dict(type='A')"),
    ):
        (tmp_path / name).write_text(text)
        check_inherited_values(tmp_path / name)


@pytest.mark.parametrize(
    ("base", "text", "line"),
    [
        (
            "det/mspecgene_vit-base_mask-rcnn_1xb2-120k_kaist-960x960.py",
            "data_root = '/my/kaist'",
            "train_dataloader = dict(dataset=dict(data_root=data_root))",
        ),
        (
            "seg/infmae_convvit-base_upernet_1xb2-240k_msrs-480x640.py",
            "crop_size = (240, 320)",
            "train_dataloader['dataset']['pipeline'][3]['crop_size'] = crop_size",
        ),
        (
            "_base_/schedules/pretrain_400e.py",
            "max_epochs = 5",
            "train_cfg = dict(max_epochs=max_epochs)",
        ),
        (  # a key that the base's dict does not have
            "pretrain/infmae_convvit-base-p16_4xb64-amp-coslr-400e_inf30.py",
            "infrared_scale = dict(range=(20, 40))",
            "train_dataloader = dict(dataset=dict(infrared_scale=dict(range=(20, 40))))",
        ),
    ],
)
def test_children_of_our_configs(tmp_path, base, text, line):
    file = tmp_path / "child.py"
    file.write_text(f"_base_ = {str(REPO / 'configs' / base)!r}\n{text}\n")
    with pytest.raises(InheritedValueError) as error:
        check_inherited_values(file)
    assert line in lines_of(error)


def test_mim_refuses_too(data_root, tmp_path):
    """The frameworks' own tool runs the hook that each of our configs brings."""
    pytest.importorskip("mim")
    base = REPO / "configs/irstd/scratch_convvit-tiny_unet_1xb8-4k_synthetic-64x64.py"
    file = tmp_path / "child.py"
    file.write_text(f"_base_ = {str(base)!r}\nbatch_size = 3\n")
    command = ["-m", "mim", "train", "mmseg", file, "--gpus", "0", "--work-dir", tmp_path / "out"]
    done = run(*command, cwd=tmp_path, PYTHONPATH=str(REPO))
    assert done.returncode != 0
    assert f"{file}: batch_size = 3 has no effect" in done.output
