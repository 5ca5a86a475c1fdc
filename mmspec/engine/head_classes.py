"""Whether a model's heads have the classes of the data, and a checkpoint those of the test."""

from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmspec.registry import HOOKS

from .launch import LaunchError
from .model_and_batch import bare_model
from .other_model import refuse_other_model

#: Parts of a model whose ``num_classes`` are not the data set's: proposals are object or not, a
#: semantic branch beside a detector has classes of its own, a backbone those it was trained for.
OTHER_PARTS = {"backbone", "rpn_head", "semantic_head", "language_model"}
#: Heads of mmdet and mmseg that predict something else: proposals, words, edges, depth.
OTHER_HEADS = {
    *("RPNHead", "GARPNHead", "FusedSemanticHead", "GroundingDINOHead", "ATSSVLFusionHead"),
    *("STDCHead", "VPDDepthHead"),
}


@HOOKS.register_module()
class HeadClassesHook(Hook):
    """End a run before its first iteration where heads and data differ in their classes.

    A head with fewer classes than the data takes the last ones for background or fails with an
    index out of bounds; one with more is scored on classes that do not exist. The number of every
    head is compared with that of each training, validation and test set, and the order of names
    where both sides tell it: training and validation set, a checkpoint and the set on which it is
    tested or goes on. Names that differ in no order are warned of, and so is a test in another
    ``infrared_scale`` than that of the training. A checkpoint of another model
    is refused by :func:`~mmspec.engine.other_model.refuse_other_model`.

    Raises:
        LaunchError: they differ; it names heads, data set and classes.
    """

    def __init__(self) -> None:
        self.learned: tuple[str, ...] | None = None
        self.training = False
        self.scale: dict | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        meta = checkpoint.get("meta") or {}
        of_data = meta.get("dataset_meta") or {}
        self.scale = of_data.get("infrared_scale")
        learned = of_data.get("classes") or meta.get("CLASSES")
        self.learned = None if learned is None else tuple(learned)
        starts = isinstance(runner._train_loop, BaseLoop) and not runner._resume
        source = getattr(runner, "_load_from", None)
        refuse_other_model(bare_model(runner), checkpoint, not starts, source)

    def before_train(self, runner: Runner) -> None:
        self.training = True
        train = runner.train_dataloader.dataset
        learned = self.learned if getattr(runner, "_resume", False) else None
        _check(runner, train, "training", learned)
        if runner.val_loop is not None:  # now, not after hours
            own = next((classes for _, classes in _sets(train)), None)
            _check(runner, runner.val_dataloader.dataset, "validation", own, "the training set")

    def before_val(self, runner: Runner) -> None:
        if not self.training:
            _check(runner, runner.val_dataloader.dataset, "validation", self.learned)

    def before_test(self, runner: Runner) -> None:
        learned = None if self.training else self.learned
        _check(runner, runner.test_dataloader.dataset, "test", learned)
        if self.training or self.scale is None:
            return
        sets = [inner for inner, _ in _sets(runner.test_dataloader.dataset)]
        scales = [(getattr(inner, "metainfo", None) or {}).get("infrared_scale") for inner in sets]
        if other := [scale for scale in scales if scale not in (None, self.scale)]:
            runner.logger.warning(
                f"infrared_scale={other[0]} of the test set is taken, but {runner._load_from} was"
                f" trained with {self.scale}, which prediction takes"
            )


def class_heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The heads of a model that predict a data set's classes, with their dotted names.

    Heads of mmdet, mmseg and mmpretrain say so by ``num_classes``; those that predict boxes or
    masks without regard to the class do not count.
    """
    for name, module in model.named_modules():
        if not name or not isinstance(getattr(module, "num_classes", None), int):
            continue
        other = OTHER_PARTS & set(name.split(".")) or OTHER_HEADS & {
            kind.__name__ for kind in type(module).__mro__
        }
        if not other and not getattr(module, "class_agnostic", False):
            yield name, module


def _check(
    runner: Runner, dataset, role: str, known: tuple | None, source: str = "the checkpoint"
) -> None:
    """Compare a data set with the model's heads, and the order of its classes with known ones."""
    heads = list(class_heads(bare_model(runner)))
    if not heads:
        return
    for inner, classes in _sets(dataset):
        place = getattr(inner, "ann_file", None) or getattr(inner, "data_root", None)
        title = f"the {role} set {type(inner).__name__}" + (f" ({place})" if place else "")
        if classes is None:
            runner.logger.warning(
                f"{title} does not tell its classes (metainfo=dict(classes=...)): whether "
                f"{heads[0][0]} has as many is not checked"
            )
            continue
        # Of a panoptic set, boxes are of things alone.
        counts = {len(classes), len(inner.metainfo.get("thing_classes") or classes)}
        wrong = [
            f"model.{name}.num_classes={head.num_classes} ({type(head).__name__})"
            for name, head in heads
            # A sigmoid tells background from the other class.
            if not (getattr(head, "out_channels", None) == 1 and len(classes) == 2)
            and head.num_classes not in counts
        ]
        if wrong:
            raise LaunchError(
                f"{', '.join(wrong)}: {title} has {len(classes)} classes, {_listed(classes)}. Set "
                f"num_classes={len(classes)} in each, or the data set's metainfo=dict(classes=...)"
            )
        if known in (None, classes):
            continue
        text = f"{source} has the classes {_listed(known)}, {title} {_listed(classes)}"
        for i, name in enumerate(classes):
            if name in known and known[i : i + 1] != (name,):
                raise LaunchError(
                    f"{text}: {name!r} is class {known.index(name)} of the one and {i} of the "
                    "other. Give the data set metainfo=dict(classes=...) in the order of the first"
                )
        runner.logger.warning(f"{text}: other names; class i is taken for class i.")


def _sets(dataset) -> Iterator[tuple[object, tuple[str, ...] | None]]:
    """The data sets inside wrappers, and their classes, None where they do not tell them."""
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if inner[0] is not None:
        for part in inner:
            yield from _sets(part)
        return
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    if isinstance(classes, str):
        raise LaunchError(
            f"metainfo=dict(classes={classes!r}) of {type(dataset).__name__} is one text, not a "
            f"list of names: write ({classes!r},)"
        )
    yield dataset, None if classes is None else tuple(classes)


def _listed(classes: tuple[str, ...], limit: int = 12) -> str:
    more = f", ... ({len(classes)} in all)" if len(classes) > limit else ""
    return f"({', '.join(map(str, classes[:limit]))}{more})"
