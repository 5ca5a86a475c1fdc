"""``mim`` and the frameworks' own tools on a user's config: an upstream one with the encoder.

Nothing of ours starts them but the ``custom_imports`` in it. They train, validate and score.
"""

import json
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from processes import run

from mmspec import ops

pytestmark = pytest.mark.stack
REPO = Path(__file__).resolve().parents[2]
SIZE = 96

# mmengine does not find OneDL's mmseg for 'mmseg::...'; docs/drop_in.md has this line instead.
BASE = "_base_ = __import__({framework!r}).__path__[0] + '/.mim/configs/{name}'\n"
CONFIGS = {
    "mmdet": "retinanet/retinanet_r50_fpn_1x_coco.py",
    "mmseg": "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py",
    "mmpretrain": "resnet/resnet50_8xb32_in1k.py",
}
COMMON = """
custom_imports = dict(imports=['mmspec'])
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
param_scheduler = []
default_hooks = dict(checkpoint=dict(_delete_=True, type='CheckpointHook', interval=1))
loader = dict(_delete_=True, batch_size=2, num_workers=1,
              sampler=dict(type='DefaultSampler', shuffle=False))
"""
USER = {
    "mmdet": """
model = dict(
    backbone=dict(_delete_=True, type='mmspec.ConvViT', arch='tiny'),
    neck=dict(in_channels=[48, 96, 224, 224]),
    bbox_head=dict(num_classes=2),
    test_cfg=dict(score_thr=0.0),
)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
resize = dict(type='Resize', scale=(96, 96), keep_ratio=True)
keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
loader['dataset'] = dict(
    type='CocoDataset', data_root='data', ann_file='boxes.json', data_prefix=dict(img='images/'),
    metainfo=dict(classes=('person', 'car')),
    pipeline=[*load, resize, dict(type='PackDetInputs', meta_keys=keys)])
train_dataloader = val_dataloader = test_dataloader = loader
val_evaluator = test_evaluator = dict(
    _delete_=True, type='CocoMetric', ann_file='data/boxes.json', metric='bbox')
""",
    "mmseg": """
model = dict(
    data_preprocessor=dict(size=(96, 96)),
    pretrained=None,
    backbone=dict(_delete_=True, type='mmspec.ConvViT', arch='tiny'),
    decode_head=dict(in_channels=[48, 96, 224, 224], num_classes=2),
)
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
loader['dataset'] = dict(
    type='BaseSegDataset', data_root='data', img_suffix='.png', seg_map_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    metainfo=dict(classes=('ground', 'person'), palette=[[0, 0, 0], [255, 255, 255]]),
    pipeline=[*load, dict(type='PackSegInputs')])
train_dataloader = val_dataloader = test_dataloader = loader
""",
    "mmpretrain": """
model = dict(
    backbone=dict(_delete_=True, type='mmspec.ConvViT', arch='tiny', out_indices=(2,),
                  final_norm=True),
    head=dict(in_channels=224, num_classes=2, topk=(1,)),
)
loader['dataset'] = dict(
    type='CustomDataset', data_root='data', data_prefix='folders',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
train_dataloader = val_dataloader = test_dataloader = loader
val_evaluator = test_evaluator = dict(_delete_=True, type='Accuracy', topk=(1,))
""",
}
METRICS = dict(mmdet="coco/bbox_mAP", mmseg="mIoU", mmpretrain="accuracy/top1")
OPENMIM = any(distribution.name == "openmim" for distribution in metadata.distributions())
MIM_NAMES = dict(
    mmdet="mmdet" if OPENMIM else "mmdetection", mmseg="mmsegmentation", mmpretrain="mmpretrain"
)


def mim_folder(framework: str) -> Path:
    """Configs and tools that the installed framework brings."""
    return Path(find_spec(framework).origin).parent / ".mim"


def write_data(root: Path) -> None:
    """Two noisy images with a bright box, as COCO, as masks and as a folder of each class."""
    rng = np.random.default_rng(0)
    boxes, images = [], []
    for i, label in enumerate(("a", "b")):
        image = rng.integers(0, 128, (SIZE, SIZE, 3), dtype=np.uint8)
        x, y, side = 16 + 16 * i, 24, 32
        image[y : y + side, x : x + side] += 100
        mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
        mask[y : y + side, x : x + side] = 1
        for folder, array in (("images", image), ("masks", mask), (f"folders/{label}", image)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{i}.png")
        images.append(dict(id=i, file_name=f"{i}.png", width=SIZE, height=SIZE))
        box = dict(id=i + 1, image_id=i, category_id=i + 1, iscrowd=0)
        boxes.append(box | dict(bbox=[x, y, side, side], area=side * side))
    categories = [dict(id=1, name="person"), dict(id=2, name="car")]
    coco = dict(images=images, annotations=boxes, categories=categories)
    (root / "boxes.json").write_text(json.dumps(coco))


def start(folder: Path, *command: str) -> str:
    """What a command printed that ended well."""
    done = run(*command, cwd=folder, PYTHONPATH=str(REPO))
    assert done.returncode == 0, done.output
    return done.output


@pytest.mark.parametrize("framework", CONFIGS)
def test_trains_validates_and_scores(framework, tmp_path):
    pytest.importorskip("mim")
    base = BASE.format(framework=framework, name=CONFIGS[framework])
    (tmp_path / "user.py").write_text(base + COMMON + USER[framework])
    write_data(tmp_path / "data")
    metric, name = METRICS[framework], MIM_NAMES[framework]
    given = ["user.py", "--gpus", "0", "--work-dir", "out"]
    assert metric in start(tmp_path, "-m", "mim", "train", name, *given)
    if framework == "mmdet":  # see below
        command = [str(REPO / "tools" / "test.py"), "user.py", "out/epoch_1.pth"]
        assert metric in start(tmp_path, *command, "--work-dir", "out")
    else:
        command = ["-m", "mim", "test", name, *given, "--checkpoint", "out/epoch_1.pth"]
        assert metric in start(tmp_path, *command)


def test_mmdets_own_test_imports_operators_before_it_reads_a_config():
    """Whence the other line of docs/drop_in.md: mmspec, named in the config, comes too late."""
    pytest.importorskip("mmdet")
    if ops.backend() == "mmcv":
        pytest.skip("mmcv has compiled operators")
    command = [sys.executable, str(mim_folder("mmdet") / "tools" / "test.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "No module named 'mmcv._ext'" in done.stderr


@pytest.mark.parametrize("framework", CONFIGS)
def test_a_base_of_either_stack(framework, tmp_path):
    pytest.importorskip(framework)
    name = CONFIGS[framework]
    (tmp_path / "user.py").write_text(BASE.format(framework=framework, name=name))
    config = Config.fromfile(tmp_path / "user.py")
    assert config.model == Config.fromfile(mim_folder(framework) / "configs" / name).model
