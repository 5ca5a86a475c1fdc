"""Test-time augmentation of mmseg's models: the mean score of several views of an image."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData

from mmspec.registry import MODELS


@MODELS.register_module()
class MeanScores(BaseTTAModel):
    """Average what a segmentor of mmseg predicts of the views of an image, brought back to it.

    mmseg's ``SegTTAModel`` takes the sigmoid of a one-channel head twice and leaves ``seg_logits``
    those of the last view; metrics of scores read them. Here they are the mean over the views: of
    probabilities (1, H, W), as mmseg's one-channel heads give them, or, of several classes, the
    logarithm of the mean softmax (C, H, W). Truth and names are those of the first view, which is
    the image as it is.
    """

    def merge_preds(self, data_samples_list: Sequence[Sequence]) -> list:
        """Of each image its views to the first of them."""
        return [self._mean(views) for views in data_samples_list]

    def _mean(self, views: Sequence):
        scores = torch.stack([view.seg_logits.data for view in views])
        if scores.shape[1] == 1:
            mean = scores.mean(0)
            predicted = (mean > self.module.decode_head.threshold).to(mean)
        else:
            mean = scores.log_softmax(1).logsumexp(0) - math.log(len(views))
            predicted = mean.argmax(0, keepdim=True)
        merged = views[0]
        merged.seg_logits, merged.pred_sem_seg = PixelData(data=mean), PixelData(data=predicted)
        return merged
