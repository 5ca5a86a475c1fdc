"""``init_cfg`` for encoders."""

from mmengine.logging import print_log
from torch import nn

from mmspec.registry import WEIGHT_INITIALIZERS

from .loading import load_into
from .reader import read_checkpoint


@WEIGHT_INITIALIZERS.register_module()
class PretrainedEncoder:
    """Start a backbone from a checkpoint of any layout that :func:`~mmspec.read_checkpoint` knows.

    ``backbone=dict(type='mmspec.ConvViT', init_cfg=dict(type='mmspec.PretrainedEncoder',
    checkpoint='InfMAE.pth'))``. Unlike mmengine's ``Pretrained`` it renames, accounts for every
    tensor in the log, and stops where a part of the encoder is missing instead of training it from
    scratch.

    Args:
        checkpoint: the file, or the name of an encoder that mmspec ships.
        min_coverage, gray: see :func:`~mmspec.checkpoints.load_into`; coverage 0 accepts any.
    """

    def __init__(
        self, checkpoint: str, min_coverage: float = 1.0, gray: dict | None = None
    ) -> None:
        self.checkpoint, self.min_coverage, self.gray = checkpoint, min_coverage, gray

    def __call__(self, module: nn.Module) -> None:
        if hasattr(module, "backbone"):
            raise ValueError(
                f"init_cfg of {type(module).__name__}: mmspec.PretrainedEncoder starts an encoder; "
                "write it into the backbone's config"
            )
        if isinstance(module.init_cfg, list) and module.init_cfg[-1].get("checkpoint") is None:
            raise ValueError(
                f"init_cfg of {type(module).__name__}: what follows mmspec.PretrainedEncoder in "
                "the list would overwrite the checkpoint; put it last"
            )
        state, info = read_checkpoint(self.checkpoint)
        report = load_into(module, state, info, self.min_coverage, self.gray)
        print_log(f"PretrainedEncoder: {report}", logger="current")
        # mmengine goes on to initialise the children, and mmpretrain's ViT its positions, unless
        # they are told that weights were loaded: by these two marks.
        for child in module.modules():
            if child is not module and hasattr(child, "is_init"):
                child.is_init = True
        module.init_cfg = dict(type="Pretrained", checkpoint=self.checkpoint)
