"""What mmcv's own Python refuses around its operators, where they are ours."""

from importlib import import_module
from types import SimpleNamespace


def adjust() -> None:
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
