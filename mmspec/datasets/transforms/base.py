"""What the steps of pipelines share."""

from mmcv.transforms import BaseTransform


class Step(BaseTransform):
    """mmcv's base of steps, which shows its options: attributes of their names."""

    def __repr__(self) -> str:
        options = (f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(options)})"
