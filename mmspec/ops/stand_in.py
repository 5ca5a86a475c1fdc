"""How Python comes to find ``mmcv._ext`` where mmcv was installed without compiled operators.

A real module with a ``__spec__`` is made, not an entry in ``sys.modules``, because mmengine asks
``importlib.util.find_spec('mmcv._ext')``. Only the standard library is imported here: torch and
torchvision follow when mmcv imports the module.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

EXTENSION = "mmcv._ext"


class StandInLoader(Loader):
    """Fill the module with the operators we have; any other name is an operator that raises."""

    def exec_module(self, module: ModuleType) -> None:
        from .operators import OPERATORS
        from .shared import unavailable

        def missing(name: str) -> Callable[..., NoReturn]:
            # mmcv's load_ext asserts hasattr() of every operator when mmcv.ops is imported, so the
            # name must exist; Python's own (__path__, __wrapped__, ...) must not.
            if name.startswith("_"):
                raise AttributeError(f"module {EXTENSION!r} has no attribute {name!r}")

            def operator(*args: Any, **kwargs: Any) -> NoReturn:
                raise unavailable(name)

            operator.__name__ = operator.__qualname__ = name
            return operator

        module.__dict__.update(OPERATORS, __getattr__=missing)
        # Now, because modules of mmcv.ops copy what they need of each other when they are imported;
        # those below find this module, half imported as it is.
        _adjust_python_side()


def _adjust_python_side() -> None:
    """Mend the modules of ``mmcv.ops`` that do more than call operators.

    * ``MMSyncBN`` asks torch.distributed for the number of processes, which raises where no process
      group is. mmengine's function of that name says 1: the layer normalises by its own batch.
    * ``carafe_naive`` has a gradient on a GPU alone. ``carafe`` computes the same.
    """
    import mmengine.dist

    # By import_module: the package has a function ``carafe`` that hides the module.
    carafe, sync_bn = (import_module(f"mmcv.ops.{name}") for name in ("carafe", "sync_bn"))
    carafe.CARAFENaiveFunction.forward = carafe.CARAFEFunction.forward
    carafe.CARAFENaiveFunction.backward = carafe.CARAFEFunction.backward
    sync_bn.dist = SimpleNamespace(
        group=sync_bn.dist.group,
        all_reduce=sync_bn.dist.all_reduce,
        get_world_size=mmengine.dist.get_world_size,
    )


class StandInFinder(MetaPathFinder):
    """Answer for ``mmcv._ext`` alone; last in ``sys.meta_path``, after any compiled one."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != EXTENSION:
            return None
        return ModuleSpec(fullname, StandInLoader(), origin="mmspec.ops (torchvision)")


FINDER = StandInFinder()
