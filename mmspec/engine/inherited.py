"""A config whose values do nothing is refused, whichever tool runs it."""

from __future__ import annotations

from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmspec.inheritance import check_inherited_values
from mmspec.registry import HOOKS


@HOOKS.register_module()
class InheritedValuesHook(Hook):
    """Refuses a run whose config file sets variables that its ``_base_`` has already used.

    ``tools/train.py`` and ``tools/test.py`` refuse such a file when they read it; this is for the
    frameworks' own tools (``mim train``), which is after the data sets were built.

    Raises:
        InheritedValueError: see :func:`~mmspec.inheritance.check_inherited_values`.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        file = runner.cfg.filename
        if file and Path(file).is_file():
            check_inherited_values(file)
