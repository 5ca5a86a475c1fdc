"""From the pixels of single images to what encoders take in pre-training."""

from mmpretrain.models import SelfSupDataPreprocessor

from mmspec.registry import MODELS

from .views import ViewsMixin


@MODELS.register_module()
class InfraredDataPreprocessor(ViewsMixin, SelfSupDataPreprocessor):
    """mmpretrain's, for batches without data samples as well, and with views made on the device.

    Args:
        views: see :class:`RandomViews`.
        options: of ``SelfSupDataPreprocessor``: ``mean``, ``std``, ``non_blocking``, ...; three
            means and stds spread a one-channel image over three equal channels.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """``dict(inputs, data_samples)``, normalised, of a batch.

        ``inputs`` are images (B, C, H, W), with ``sizes`` (B, 2) where ``collate_padded`` padded
        them; ``data_samples`` are handed on, None where the batch has none.
        """
        data = self.on_device(data, training)
        samples = data.get("data_samples")
        return super().forward(dict(inputs=data["inputs"], data_samples=samples), training)
