"""What stands in for classes that build on mmdet or mmseg where these cannot be imported.

mmspec does without them where they are not needed. A module that derives from one of their classes
is imported under ``try``, and if that fails its names are registered all the same, so that a config
which asks for one is told what is missing.
"""

from collections.abc import Sequence

from mmengine.registry import Registry

PACKAGES = {
    "mmdet": "pip install onedl-mmdetection, or pip install mmdet",
    "mmseg": "pip install onedl-mmsegmentation, or pip install mmsegmentation",
}
#: What importing them raises: they assert the version of mmcv.
IMPORT_ERRORS = (ImportError, AssertionError)


def stand_ins(registry: Registry, names: Sequence[str], framework: str, error: Exception) -> dict:
    """Register for each name a function that raises ImportError; return them by name.

    Args:
        registry: where the classes would be.
        names: of the classes.
        framework: 'mmdet' or 'mmseg'.
        error: what its import raised.
    """

    def ask_for(name: str):
        def ask(*args, **kwargs):
            raise ImportError(
                f"mmspec.{name} needs {framework}, which cannot be imported ({error}). Install it"
                f" from the family of the other mm packages: {PACKAGES[framework]}"
            ) from error

        return ask

    return {name: registry.register_module(name, module=ask_for(name)) for name in names}
