"""From a config file and options to what the runner gets."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS
from toy_run import toy_run

from mmspec.engine import launch
from mmspec.engine.launch import LaunchError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CONFIG = """
data_root = 'images'
batch_size = 8
pipeline = [dict(type='Load'), dict(type='Crop', scale=224)]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    dataset=dict(data_root=data_root, pipeline=pipeline))
train_cfg = dict(by_epoch=True, max_epochs=3)
custom_imports = dict(imports=["mmspec"])
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "tiny.py"
    file.write_text(CONFIG)
    return str(file)


def test_data_sets_put_together_may_scale_each_by_its_own(tmp_path):
    steps = [dict(type="mmspec.LoadInfraredImageFromFile", min_size=0)]
    ramp = np.arange(0, 600, 100, dtype=np.float32).reshape(2, 3)
    parts = []
    for high in (500, 1000):
        folder = tmp_path / str(high)
        folder.mkdir()
        np.save(folder / "a.npy", ramp)
        part = dict(type="mmspec.InfraredFolder", data_root=str(folder), pipeline=steps)
        parts.append(dict(part, infrared_scale=dict(range=(0, high))))
    dataset = dict(type="ConcatDataset", datasets=parts)
    repeated = dict(type="RepeatDataset", times=1, dataset=dataset)
    cfg = Config(dict(train_dataloader=dict(dataset=repeated)))
    with pytest.raises(ValueError, match="does not match meta information"):
        DATASETS.build(cfg.train_dataloader.dataset)
    launch.scale_by_parts(cfg)
    both = DATASETS.build(cfg.train_dataloader.dataset)
    assert [int(both[i]["img"].max()) for i in range(2)] == [255, 128]
    assert both.metainfo["infrared_scale"] == dict(range=(0, 500))


def test_options_replace_values(config):
    options = ["train_cfg.max_epochs=5", "train_dataloader.dataset.pipeline.1.scale=(64,32)"]
    cfg = launch.read_config(config, options)
    assert cfg.train_cfg.max_epochs == 5
    assert cfg.train_dataloader.dataset.pipeline[1].scale == (64, 32)


def test_a_model_gets_the_configs_data_preprocessor(tmp_path):
    """As a runner gives it: mmpretrain's configs name it beside the model."""
    path = tmp_path / "user.py"
    for own, mean in (("", [1.0]), (", data_preprocessor=dict(mean=[2.0])", [2.0])):
        path.write_text(f"model = dict(type='MAE'{own})\ndata_preprocessor = dict(mean=[1.0])\n")
        assert launch.read_config(str(path)).model.data_preprocessor.mean == mean


def test_arguments_of_the_runner_need_not_be_in_the_config(config):
    options = ["randomness.seed=3", "load_from=a=b.pth", "find_unused_parameters=True"]
    cfg = launch.read_config(config, [*options, "work_dir=my runs/1"])
    assert cfg.work_dir == "my runs/1"
    assert cfg.randomness.seed == 3
    assert cfg.load_from == "a=b.pth"
    assert cfg.find_unused_parameters is True


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("max_epochs", r"takes KEY=VALUE, got 'max_epochs'$"),
        ("train_cgf.max_epochs=1", r"no 'train_cgf' in .*tiny.py; did you mean 'train_cfg'\?$"),
        ("zzz=1", r"no 'zzz' in .*tiny.py, which has: data_root, batch_size, pipeline, train_data"),
        ("data_root=x", r"already used; .* used: train_dataloader.dataset.data_root$"),
        # num_workers is 8 as well, but of another name.
        ("batch_size=2", r"already used; .* used: train_dataloader.batch_size$"),
        ("custom_imports.imports=[a]", r"already used; set it in a config on top, _base_ = "),
        ("pipeline.1.scale=2", r"used: train_dataloader.dataset.pipeline.1.scale$"),
        ("train_dataloader.dataset.pipeline.7.scale=2", r"Index 7 exceeds"),
        ("train_cfg.by_epoch.x=2", r"train_cfg.by_epoch.x=2: "),
        ("train_cfg.max_epochs=[1,2", r"Imbalanced brackets"),
        ("custom_hooks=[dict(type='EMAHook', momentum=1)]", r"a dict is set key by key"),
    ],
)
def test_option_without_effect_is_an_error(config, option, message):
    with pytest.raises(LaunchError, match=message):
        launch.read_config(config, [option])


def test_a_dict_is_found_where_it_is_used(tmp_path):
    # The variable has its base's keys too, the data set that replaces the base's has not.
    (tmp_path / "base.py").write_text(
        "level = dict(high=1)\ntrain_dataloader = dict(level=level)\n"
    )
    child = tmp_path / "child.py"
    used = "train_dataloader = dict(level=dict(_delete_=True, **level))"
    child.write_text(f"_base_ = 'base.py'\nlevel = dict(low=2)\n{used}\n")
    with pytest.raises(LaunchError, match=r"is used: train_dataloader\.level\.low$"):
        launch.read_config(child, ["level.low=3"])


def test_hooks_of_any_run_are_those_of_our_configs():
    runtime = Config.fromfile(CONFIGS / "_base_" / "runtime.py")
    assert {name: runtime.default_hooks.get(name) for name in launch.RUN_HOOKS} == launch.RUN_HOOKS


def test_missing_config_names_the_nearest():
    name = "infmae_convvit-tiny-p16_1xb16-coslr_demos.py"
    with pytest.raises(LaunchError, match=rf"no config file {name}; did you mean .*_demo.py"):
        launch.read_config(name)


def test_missing_config_names_those_with_all_its_parts():
    with pytest.raises(LaunchError, match=r"did you mean \S*/mae_vit-tiny_unet_1xb8-3k_irstd1k-"):
        launch.read_config("tiny_unet_irstd1k.py")


@pytest.mark.parametrize("kind", ["AmpOptimWrapper", "mmspec.AmpOptimWrapper"])
def test_mixed_precision_becomes_float32_on_a_cpu(kind):
    wrapper = {"type": kind, "loss_scale": "dynamic", "optimizer": {"type": "SGD"}}
    cfg = Config({"launcher": "none", "optim_wrapper": wrapper})
    (note,) = launch.adapt_to_cpu(cfg)
    assert "float32" in note
    assert cfg.optim_wrapper == {"type": "OptimWrapper", "optimizer": {"type": "SGD"}}


@pytest.mark.parametrize(
    ("parts", "enable", "rate"), [(1, True, 0.2), (4, True, 0.8), (4, False, 0.1)]
)
def test_the_scaled_rate_is_that_of_all_accumulated_batches(tmp_path, parts, enable, rate):
    """Of batches of 4, with a rate of 0.1 for 2."""
    wrapper = dict(accumulative_counts=parts)
    cfg = Config(dict(optim_wrapper=wrapper, auto_scale_lr=dict(base_batch_size=2, enable=enable)))
    run = toy_run(tmp_path, schedule=[], iters=1, wrapper=wrapper, auto_scale_lr=cfg.auto_scale_lr)
    notes = launch.count_accumulation(run, cfg)
    assert len(notes) == (rate == 0.8)
    assert cfg.auto_scale_lr.base_batch_size == 2  # whoever starts from its copy counts anew
    run.train()
    assert run.optim_wrapper.optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def test_plain_config_is_not_changed_on_a_cpu(config):
    cfg = launch.read_config(config, ["launcher=none"])
    before = cfg.to_dict()
    assert launch.adapt_to_cpu(cfg) == []
    assert cfg.to_dict() == before


@pytest.mark.parametrize("launcher", ["slurm", "mpi"])
def test_launcher_that_needs_a_gpu(launcher):
    with pytest.raises(LaunchError, match=f"--launcher {launcher} needs a GPU; .*pytorch"):
        launch.adapt_to_cpu(Config({"launcher": launcher}))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mmpretrain.VisualizationHook", {"enable": True, "interval": 1, "out_dir": "/pictures"}),
        ("DetVisualizationHook", {"draw": True, "test_out_dir": "/pictures"}),
        ("SegVisualizationHook", {"draw": True, "interval": 1}),
    ],
)
def test_pictures_of_predictions(kind, expected):
    cfg = Config({"default_hooks": {"visualization": {"type": kind}}, "visualizer": {}})
    launch.draw_to(cfg, "/pictures")
    assert cfg.default_hooks.visualization == {"type": kind, **expected}
    assert cfg.visualizer == ({"save_dir": "/pictures"} if kind.startswith("Seg") else {})


def test_config_that_cannot_draw():
    with pytest.raises(LaunchError, match=r"--show-dir: default_hooks.visualization .* but None"):
        launch.draw_to(Config({}), "/pictures")


def test_a_config_without_a_model_is_named():
    cfg = Config(dict(default_scope="mmspec"))
    with pytest.raises(LaunchError, match="has no model"):
        launch.build_runner(cfg)
