"""Registries of mmspec: children of mmengine's, scope ``mmspec``.

``locations`` names the modules that fill a registry. mmengine imports them at the first look-up, so
that ``import mmspec`` (what ``custom_imports`` does in a config) costs nothing until a class is
asked for, and a config of mmdet or mmseg finds ``mmspec.ConvViT`` without importing the rest.
"""

from mmengine import registry as mmengine
from mmengine.registry import Registry


def _child(parent: Registry, *locations: str) -> Registry:
    locations = [f"mmspec.{place}" for place in locations]
    return Registry(parent.name, parent=parent, scope="mmspec", locations=locations)


MODELS = _child(
    mmengine.MODELS,
    *("checkpoints.loading", "models.backbones", "models.data_preprocessors"),
    *("models.heads", "models.losses"),
    *("models.maskers", "models.matchers", "models.mean_scores", "models.necks"),
    *("models.selfsup", "models.targets"),
)
TASK_UTILS = _child(mmengine.TASK_UTILS, "models.task_utils")
DATASETS = _child(mmengine.DATASETS, "datasets")
TRANSFORMS = _child(mmengine.TRANSFORMS, "datasets.transforms")
FUNCTIONS = _child(mmengine.FUNCTIONS, "datasets.collate")
HOOKS = _child(mmengine.HOOKS, "engine")
METRICS = _child(mmengine.METRICS, "evaluation")
WEIGHT_INITIALIZERS = _child(mmengine.WEIGHT_INITIALIZERS, "checkpoints")
OPTIMIZERS = _child(mmengine.OPTIMIZERS, "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmengine.OPTIM_WRAPPER_CONSTRUCTORS, "engine")
OPTIM_WRAPPERS = _child(mmengine.OPTIM_WRAPPERS, "engine")
INFERENCERS = _child(mmengine.INFERENCERS, "apis.inferencers")
