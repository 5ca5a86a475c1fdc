"""Which candidate box learns which object, for data sets with regions to ignore.

Where mmdet is missing, or refuses the installed mmcv, a stand-in is registered that says so.
"""

import torch

from mmspec.optional import IMPORT_ERRORS, stand_ins
from mmspec.registry import TASK_UTILS

try:
    from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
except IMPORT_ERRORS as error:
    globals().update(stand_ins(TASK_UTILS, ["IgnoringAssigner"], "mmdet", error))
else:

    @TASK_UTILS.register_module()
    class IgnoringAssigner(MaxIoUAssigner):
        """mmdet's ``MaxIoUAssigner`` by which regions to ignore are never background.

        A candidate that would be background, and of whose area more than ``ignore_iof_thr`` lies in
        one region to ignore, is assigned -1: no stage learns from it. ``MaxIoUAssigner`` ignores
        nothing unless told to; told to, it takes every candidate of an image (or crop) without
        objects for background all the same, and withholds from an object that lies in a region,
        such as a pedestrian in a crowd, all its candidates.

        ``ignore_iof_thr`` is a share of a candidate's area, above 0 and below 1; the other
        arguments are those of ``MaxIoUAssigner``.
        """

        def __init__(self, *args, ignore_iof_thr: float = 0.5, **kwargs) -> None:
            if not 0 < ignore_iof_thr < 1:
                raise ValueError(
                    f"IgnoringAssigner: ignore_iof_thr={ignore_iof_thr}; a share of a candidate's"
                    " area is above 0 and below 1"
                )
            super().__init__(*args, ignore_iof_thr=ignore_iof_thr, **kwargs)

        def assign(
            self, pred_instances, gt_instances, gt_instances_ignore=None, **kwargs
        ) -> AssignResult:
            """Assign objects, then take what lies in regions to ignore from the background.

            ``gt_inds`` (N,) of the result: index + 1 of an object, 0 for background, -1 for
            neither.
            """
            result = super().assign(pred_instances, gt_instances, None, **kwargs)
            if gt_instances_ignore is None or not len(gt_instances_ignore.bboxes):
                return result
            covered = self.iou_calculator(
                pred_instances.priors, gt_instances_ignore.bboxes, mode="iof"
            )
            ignored = (result.gt_inds == 0) & (covered > self.ignore_iof_thr).any(1)
            result.gt_inds = torch.where(ignored, -1, result.gt_inds)
            return result
