"""Registries of mmspec: children of mmengine's, scope ``mmspec``.

``locations`` names the modules that fill a registry. mmengine imports them at the first look-up, so
that ``import mmspec`` (what ``custom_imports`` does in a config) costs nothing until a class is
asked for, and a config of mmdet or mmseg finds ``mmspec.ConvViT`` without importing the rest.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import INFERENCERS as MMENGINE_INFERENCERS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

MODELS = Registry(
    "model",
    parent=MMENGINE_MODELS,
    scope="mmspec",
    locations=[
        f"mmspec.models.{room}"
        for room in (
            "backbones",
            "data_preprocessors",
            "heads",
            "losses",
            "maskers",
            "matchers",
            "necks",
            "selfsup",
        )
    ],
)
TASK_UTILS = Registry(
    "task util", parent=MMENGINE_TASK_UTILS, scope="mmspec", locations=["mmspec.models.task_utils"]
)
DATASETS = Registry(
    "dataset", parent=MMENGINE_DATASETS, scope="mmspec", locations=["mmspec.datasets"]
)
TRANSFORMS = Registry(
    "transform",
    parent=MMENGINE_TRANSFORMS,
    scope="mmspec",
    locations=["mmspec.datasets.transforms"],
)
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope="mmspec", locations=["mmspec.engine"])
METRICS = Registry(
    "metric", parent=MMENGINE_METRICS, scope="mmspec", locations=["mmspec.evaluation"]
)
WEIGHT_INITIALIZERS = Registry(
    "weight initializer",
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope="mmspec",
    locations=["mmspec.checkpoints"],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="mmspec",
    locations=["mmspec.engine"],
)
INFERENCERS = Registry(
    "inferencer",
    parent=MMENGINE_INFERENCERS,
    scope="mmspec",
    locations=["mmspec.apis.inferencers"],
)
