"""torchvision's compiled operators."""

from collections.abc import Callable

import torch


def torchvision_operator(name: str) -> Callable:
    """``torch.ops.torchvision.NAME``; RuntimeError where torchvision does not fit torch."""
    try:
        import torchvision  # noqa: F401  (importing it registers torch.ops.torchvision)

        return getattr(torch.ops.torchvision, name)
    except (ImportError, RuntimeError, AttributeError) as error:
        raise RuntimeError(
            f"torchvision's operator '{name}' cannot be loaded ({error}): install the "
            f"torchvision release that was built for torch {torch.__version__}"
        ) from error
