"""Random views of a batch, made on its device in place of the loader's workers."""

import torch
from torch import Tensor

from mmspec.pairs import PAIR, SIDES
from mmspec.photometry import InfraredChanges

from .geometry import crop_resize, draw_boxes, middle_squares
from .photometric import change_infrared, change_visible, draw_infrared, draw_visible


class RandomViews:
    """Crop, resize, flip and, where asked for, change the levels of each image of a batch.

    The distributions are those of ``RandomView`` and of ``RGBTPhotometric`` in a pipeline. Draws
    come from the device's default generator, which ``RepeatableDrawsHook`` seeds by the run's seed,
    the iteration and the rank: a run repeats, and a resumed one goes on; unlike the loader's draws
    they are others on another number of processes. Outside training a view is the middle square.
    No step waits for the device.

    Args:
        size: of a view, pixels a side.
        crop_ratio_range: share of the image that a crop covers.
        aspect_ratio_range: width / height of a crop.
        flip_prob: probability that a view is mirrored.
        infrared: options of ``InfraredPhotometric``, ``dict()`` for its own; None leaves it out.
        visible: whether the visible image of a pair is changed as by ``VisiblePhotometric``.
    """

    def __init__(
        self,
        size: int,
        crop_ratio_range: tuple[float, float] = (0.2, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        flip_prob: float = 0.5,
        infrared: dict | None = None,
        visible: bool = False,
    ) -> None:
        self.size = (size, size)
        self.crop_ratio_range, self.aspect_ratio_range = crop_ratio_range, aspect_ratio_range
        self.flip_prob = flip_prob
        self.infrared = None if infrared is None else InfraredChanges(**infrared)
        self.visible = visible

    @torch.no_grad()
    def __call__(self, images: Tensor, sizes: Tensor | None, training: bool) -> Tensor:
        """Make the views (B, C, size, size) of images, of their dtype.

        Args:
            images: (B, C, H, W) uint8 or float32, one channel or those of a pair, each image in the
                upper left corner.
            sizes: (B, 2) height and width of each; None: of all H and W.
            training: whether views are random.
        """
        if sizes is None:  # filled there: numbers from the host would have to be waited for
            sides = [torch.full((len(images),), x, device=images.device) for x in images.shape[2:]]
            sizes = torch.stack(sides, 1)
        if not training:
            return crop_resize(images, middle_squares(sizes), sizes, self.size)
        boxes = draw_boxes(sizes, self.crop_ratio_range, self.aspect_ratio_range)
        flip = torch.rand(len(images), device=images.device) < self.flip_prob
        views = crop_resize(images, boxes, sizes, self.size, flip)
        if self.infrared is None and not self.visible:
            return views
        if views.shape[1] not in (1, len(PAIR)):
            raise ValueError(f"photometric steps of {views.shape[1]} channels: 1, or 4 of a pair")
        gray, visible = (views[:, SIDES[side]] for side in ("infrared", "visible"))
        if self.infrared is not None:
            gray = change_infrared(gray, *draw_infrared(len(gray), self.infrared, gray.device))
        if self.visible and len(visible[0]):
            visible = change_visible(visible, *draw_visible(len(visible), visible.device))
        return torch.cat([gray, visible], 1)


class ViewsMixin:
    """A data preprocessor that may make the views of its batches.

    Args:
        views: options of :class:`RandomViews`. None: the loader has made them.
    """

    def __init__(self, *args, views: dict | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.views = None if views is None else RandomViews(**views)

    def on_device(self, data: dict, training: bool) -> dict:
        """Move a batch to the device; its ``inputs`` are one tensor, the views if it makes them."""
        data = self.cast_data(data)
        inputs = data["inputs"]
        if not isinstance(inputs, Tensor):
            if len({image.shape for image in inputs}) > 1:
                raise ValueError(
                    f"{type(self).__name__}: images of several sizes; give views=dict(size=...)"
                    " and collate by mmspec.collate_padded, or crop them in the pipeline"
                )
            inputs = torch.stack(inputs)
        if self.views is not None:
            inputs = self.views(inputs, data.get("sizes"), training)
        return {**data, "inputs": inputs}
