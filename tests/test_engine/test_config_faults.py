"""A config that cannot be built ends with its key; what may be a bug keeps its traceback."""

from pathlib import Path

import processes
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import Runner

from mmspec.engine.config_faults import ConfigError, naming_faults
from mmspec.registry import HOOKS, MODELS

REPO = Path(__file__).resolve().parents[2]
FOLDER = dict(type="mmspec.InfraredFolder", data_root="images", lazy_init=True)
VIEW = dict(type="mmspec.RandomView", scale=8)
PARTS = dict(
    default_scope="mmpretrain",
    model=dict(type="mmspec.InformationMasker", score="intensity"),
    default_hooks=dict(logger=dict(type="LoggerHook", interval=5)),
    optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.1)),
    param_scheduler=dict(type="CosineAnnealingLR", T_max=3, convert_to_iter_based=True),
    # Begins as the training's, and stands before it.
    test_dataloader=dict(batch_size=2, dataset=dict(**FOLDER, pipeline=[VIEW])),
    train_dataloader=dict(
        batch_size=2,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=dict(**FOLDER, pipeline=[VIEW, dict(**VIEW, flip_prob=0.0)]),
    ),
)


def build(cfg: Config) -> None:
    init_default_scope("mmpretrain")
    MODELS.build(cfg.model)
    for hook in cfg.default_hooks.values():
        HOOKS.build(hook)
    wrapper = build_optim_wrapper(torch.nn.Linear(1, 1), cfg.optim_wrapper)
    PARAM_SCHEDULERS.build(
        cfg.param_scheduler, default_args=dict(optimizer=wrapper, epoch_length=4)
    )
    Runner.build_dataloader(cfg.train_dataloader)


VIEWS = "train_dataloader.dataset.pipeline"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "model.type",
            "mmspec.InformationMaskr",
            "model (mmspec.InformationMaskr): mmspec.InformationMaskr is not in the"
            " mmpretrain::model registry; did you mean 'mmspec.InformationMasker'?",
        ),
        (
            "model.type",
            "mmspek.InformationMasker",
            "model (mmspek.InformationMasker): mmspek.InformationMasker is not in the"
            " mmpretrain::model registry; did you mean 'mmspec.InformationMasker'?",
        ),
        (
            "param_scheduler.type",
            "CosineAnealingLR",
            "param_scheduler (CosineAnealingLR): CosineAnealingLR is not in the parameter scheduler"
            " registry; did you mean 'CosineAnnealingLR'?",
        ),
        (
            "optim_wrapper.optimizer.type",
            "AdamWW",
            "optim_wrapper.optimizer (AdamWW): AdamWW is not in the optimizer registry; did you"
            " mean 'AdamW'?",
        ),
        (
            "model.scor",
            "intensity",
            "model (mmspec.InformationMasker): InformationMasking.__init__() got an unexpected"
            " keyword argument 'scor'; did you mean 'score'?",
        ),
        (
            "param_scheduler.T_maks",
            3,
            "param_scheduler (CosineAnnealingLR): CosineAnnealingParamScheduler.__init__() got an"
            " unexpected keyword argument 'T_maks'; did you mean 'T_max'?",
        ),
        (
            "train_dataloader.batchsize",
            2,
            "train_dataloader: DataLoader.__init__() got an unexpected keyword argument"
            " 'batchsize'",
        ),
        (
            f"{VIEWS}.0.skale",
            2,
            f"{VIEWS}.0 (mmspec.RandomView): RandomView.__init__() got an unexpected keyword"
            " argument 'skale'; did you mean 'scale'?",
        ),
        (
            VIEWS,
            [VIEW, dict(type="mmspec.RandomView")],
            f"{VIEWS}.1 (mmspec.RandomView): RandomView.__init__() missing 1 required positional"
            " argument: 'scale'",
        ),
        (
            VIEWS,
            [VIEW, dict(VIEW, flip_prob=0.0), dict(VIEW, flip_prob=0.0, flip=1)],
            f"{VIEWS}.2 (mmspec.RandomView): RandomView.__init__() got an unexpected keyword"
            " argument 'flip'; did you mean 'flip_prob'?",
        ),
        (
            "model.score",
            "blue",
            "model (mmspec.InformationMasker): score='blue': intensity, variance, entropy,"
            " deviation, white, green",
        ),
        (
            "default_hooks.logger.interval",
            "ten",
            "default_hooks.logger (LoggerHook): interval must be an integer",
        ),
        (
            "optim_wrapper.optimizer.lr",
            -1,
            "optim_wrapper.optimizer (AdamW): Invalid learning rate: -1",
        ),
        (
            "optim_wrapper.optimizer.lr",
            "zehn",
            "optim_wrapper.optimizer (AdamW): lr='zehn': '<=' not supported between instances of"
            " 'float' and 'str'",
        ),
        (
            "optim_wrapper.optimizer",
            dict(type="mmspec.AdamW", lr=1e-3, weight_decay="zehn"),
            "optim_wrapper.optimizer (mmspec.AdamW): weight_decay='zehn': '<=' not supported"
            " between instances of 'float' and 'str'",
        ),
        (
            "model",
            "blue",
            "line.py: cfg should be a dict, ConfigDict or Config, but got <class 'str'>",
        ),
    ],
)
def test_what_a_config_has_wrong_is_named(key, value, message, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    cfg = Config(PARTS, cfg_text="#", filename="line.py")
    cfg.merge_from_dict({key: value})
    with pytest.raises(ConfigError) as caught, naming_faults(cfg):
        build(cfg)
    assert str(caught.value) == message


def helper(*, size: int) -> None:
    """Takes a size alone."""


@MODELS.register_module(force=True)
class Faulty(BaseModel):
    """A model with a bug, where ``bug`` says."""

    def __init__(self, bug: str, width: int = 3) -> None:
        super().__init__()
        self.bug = bug
        if bug == "zero":
            width / 0
        elif bug == "text":
            int("x")
        elif bug == "attribute":
            str(self.widht)
        elif bug == "key":
            Config(dict(a=1))._cfg_dict["b"]
        elif bug == "helper":
            helper(width=width)
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, mode="loss"):
        raise ValueError("in a step")


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        ("zero", ZeroDivisionError),
        ("text", ValueError),
        ("attribute", AttributeError),
        ("key", KeyError),
        ("helper", TypeError),
    ],
)
def test_a_bug_of_a_class_keeps_its_traceback(bug, kind):
    cfg = Config(PARTS | dict(model=dict(type="mmspec.Faulty", bug=bug, width=3)))
    with pytest.raises(kind) as caught, naming_faults(cfg):
        build(cfg)
    assert caught.type is kind


def of_a_training(work_dir: Path) -> Config:
    settings = dict(
        model=dict(type="mmspec.Faulty", bug="step"),
        work_dir=str(work_dir),
        experiment_name="faults",
        train_dataloader=dict(dataset=[dict(x=torch.ones(1))], sampler=dict(type="DefaultSampler")),
        train_cfg=dict(type="EpochBasedTrainLoop", max_epochs=1),
        optim_wrapper=PARTS["optim_wrapper"],
    )
    return Config(settings, filename="line.py", cfg_text="#")


def test_an_error_in_a_training_step_keeps_its_traceback(tmp_path):
    cfg = of_a_training(tmp_path)
    with pytest.raises(ValueError, match="^in a step$") as caught, naming_faults(cfg):
        Runner.from_cfg(cfg).train()
    assert caught.type is ValueError


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "train_cfg.max_epochs",
            "viele",
            "train_cfg (EpochBasedTrainLoop): max_epochs='viele': invalid literal for int() with"
            " base 10: 'viele'",
        ),
        ("log_level", "LAUT", "line.py: log_level='LAUT': unknown"),
    ],
)
def test_what_a_runner_cannot_use_is_named(key, value, message, tmp_path):
    cfg = of_a_training(tmp_path)
    cfg.merge_from_dict({key: value})
    with pytest.raises(ConfigError) as caught, naming_faults(cfg):
        Runner.from_cfg(cfg).train()
    assert str(caught.value) == message


def test_a_tool_says_what_is_wrong_in_one_line(tmp_path):
    config = REPO / "configs/pretrain/infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"
    option = ["--cfg-options", "model.masker.score=blue"]
    program = processes.run(REPO / "tools" / "train.py", config, *option, cwd=tmp_path)
    assert program.returncode == 2
    assert program.stderr.splitlines()[-1] == (
        "train.py: error: model.masker (mmspec.InformationMasker): score='blue': intensity,"
        " variance, entropy, deviation, white, green"
    )
    assert "Traceback" not in program.output
