"""Loading the label image of a sample."""

from mmengine import fileio

from mmspec.datasets.label_io import LabelError
from mmspec.registry import TRANSFORMS

from .base import Step


@TRANSFORMS.register_module()
class LoadSegmentationLabels(Step):
    """Load and check the label image of a segmentation data set of mmspec.

    It takes the place of mmseg's ``LoadAnnotations``, which casts any depth to 8 bits, lets values
    outside the classes pass (they end in a CUDA assertion or vanish from the metric) and leaves a
    label of another size to fail inside the loss. May stand before or after a resize of the image.

    Required keys: ``seg_map_path``, ``label_codes``; ``ori_shape`` of the image, where it is there.
    Added keys: ``gt_seg_map`` (H, W) uint8, class indices; its name in ``seg_fields``.

    An image that is given by itself, as ``mmseg.apis.inference_model`` does, passes without labels;
    a sample of a data set (it has ``sample_idx``) does not, lest a test score nothing.

    Args:
        backend_args: of mmengine's file backend.

    Raises:
        LabelError: The file cannot be opened or read, holds values outside the classes, or has
            another size than its image.
        KeyError: A sample of a data set, or one with a label file, does not say how to read it.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        if not {"label_codes", "seg_map_path", "sample_idx"} & set(results):
            return results
        if "label_codes" not in results:
            raise KeyError(
                "LoadSegmentationLabels: no 'label_codes' in the sample; it reads labels of"
                " mmspec's segmentation data sets, for others use mmseg's LoadAnnotations"
            )
        name = str(results["seg_map_path"])
        try:
            data = bytes(fileio.get(name, backend_args=self.backend_args))
        except OSError as error:
            raise LabelError.of(name, f"cannot be opened ({error})") from None
        values = results["label_codes"].read(data, name)
        shape = results.get("ori_shape", values.shape)[:2]
        if tuple(shape) != values.shape:
            raise LabelError.of(
                name,
                f"the label is {values.shape[1]} x {values.shape[0]} pixels, its image"
                f" {results['img_path']} is {shape[1]} x {shape[0]}",
            )
        results["gt_seg_map"] = results["label_codes"].decode(values, name)
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
