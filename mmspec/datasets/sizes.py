"""Compare the size of an image as it was loaded with the one that its annotation states."""

from collections.abc import Callable, Mapping

from mmcv.transforms import LoadImageFromFile

from mmspec.datasets.image_io import UnreadableImageError


def size_fault(loaded: tuple[float, float], stated: tuple[float, float]) -> str:
    """What is wrong where boxes were drawn on an image of another size; '' if nothing is.

    Args:
        loaded: width and height of the image, upright, pixels.
        stated: width and height that the annotation gives.
    """
    if tuple(loaded) == tuple(stated):
        return ""
    cause = "they would be in wrong places"
    if tuple(loaded) == tuple(stated[::-1]):
        cause = "drawn before the image was turned upright by its orientation tag?"
    return (
        f"{loaded[0]:g} x {loaded[1]:g} pixels, its boxes are for an image of"
        f" {stated[0]:g} x {stated[1]:g}: {cause}"
    )


def check_loaded_size(results: Mapping) -> Mapping:
    """Refuse an image whose size is not what is known of its sample; a step after loading.

    Required keys: ``ori_shape`` (H, W) of the image, ``img_path``. Looked at where they are there:
    ``height`` and ``width`` of the annotation, ``ann_file``, its name for the error, and
    ``gt_seg_map``, a label that was loaded before the image.

    Raises:
        UnreadableImageError: The sizes differ.
    """
    height, width = results["ori_shape"][:2]
    stated = results.get("width"), results.get("height")
    if None not in stated and (reason := size_fault((width, height), tuple(map(float, stated)))):
        where = f" ({results['ann_file']})" if results.get("ann_file") else ""
        raise UnreadableImageError.of(results["img_path"], f"{reason}{where}")
    label = results.get("gt_seg_map")
    if label is not None and label.shape != (height, width):
        raise UnreadableImageError.of(
            results["img_path"],
            f"{width} x {height} pixels, its label {results.get('seg_map_path')}"
            f" {label.shape[1]} x {label.shape[0]}",
        )
    return results


def add_size_checks(steps: list[Callable]) -> None:
    """Insert :func:`check_loaded_size` after mmcv's loading step; ours end with it themselves."""
    for loader in [step for step in steps if isinstance(step, LoadImageFromFile)]:
        steps.insert(steps.index(loader) + 1, check_loaded_size)
