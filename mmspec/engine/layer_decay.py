"""Layer-wise learning-rate decay for fine-tuning a pre-trained encoder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmspec.registry import OPTIM_WRAPPER_CONSTRUCTORS

KEYS = {
    "layer_decay_rate",
    "custom_keys",
    "norm_decay_mult",
    "bias_decay_mult",
    "flat_decay_mult",
    "dwconv_decay_mult",
    "bias_lr_mult",
}
CUSTOM_KEYS = {"lr_mult", "decay_mult"}
#: Positions and tokens, in the names of ViTs and Swin: not matrices that weight decay is meant for.
WITHOUT_DECAY = {
    "pos_embed",
    "absolute_pos_embed",
    "rel_pos_h",
    "rel_pos_w",
    "relative_position_bias_table",
    "cls_token",
    "mask_token",
}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Learning rates that shrink towards the input: ``lr * rate ** (layers - 1 - layer)``.

    The layer of a parameter is what the backbone's ``get_layer_depth(name, 'backbone.')`` says
    (ConvViT, MaskedViT and mmpretrain's backbones have it); all that is outside the backbone, such
    as necks and heads, is the last layer. It serves any model with a ``backbone``: mmseg's and
    mmdet's too, which mmpretrain's own constructor does not take (MAE, arXiv 2111.06377, appendix
    A.1; BEiT, arXiv 2106.08254). Positions and tokens (``WITHOUT_DECAY``) have no weight decay, as
    there, unless a custom key gives them one.

    ``optim_wrapper=dict(constructor='mmspec.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75, norm_decay_mult=0.0, bias_decay_mult=0.0))``

    Args:
        optim_wrapper_cfg: as for mmengine's default constructor.
        paramwise_cfg: ``layer_decay_rate`` in (0, 1], and of mmengine's keys, with their meaning
            there: ``custom_keys`` (with ``lr_mult`` and ``decay_mult``), ``norm_decay_mult``,
            ``bias_decay_mult``, ``flat_decay_mult``, ``dwconv_decay_mult``, ``bias_lr_mult``.
            Learning-rate multipliers come on top of the layer's.

    Raises:
        ValueError: an unknown key, no or an impossible ``layer_decay_rate``, no learning rate.
        TypeError: the model has no backbone, or one that does not tell its layers.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        name, given = type(self).__name__, self.paramwise_cfg
        unknown = sorted(set(given) - KEYS)
        if unknown:
            raise ValueError(
                f"{name}: unknown paramwise_cfg key {unknown[0]!r}; known: {sorted(KEYS)}"
            )
        for key, settings in given.get("custom_keys", {}).items():
            unknown = sorted(set(settings) - CUSTOM_KEYS)
            if unknown:
                raise ValueError(
                    f"{name}: unknown key {unknown[0]!r} in custom_keys[{key!r}]; known: "
                    f"{sorted(CUSTOM_KEYS)}"
                )
        rate = given.get("layer_decay_rate")
        if rate is None or not 0 < rate <= 1:
            raise ValueError(
                f"{name}: paramwise_cfg.layer_decay_rate={rate}: a number in (0, 1], 0.75 say"
            )
        if self.base_lr is None:
            raise ValueError(f"{name}: the optimizer needs a learning rate, lr=...")

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **kwargs) -> None:
        """Appends one parameter group a layer and weight decay (and further multipliers, if any).

        Each group holds ``params``, ``lr``, ``weight_decay`` and ``layer``.
        """
        if prefix:  # mmengine's recursion through the children
            super().add_params(params, module, prefix=prefix, **kwargs)
            return
        layer_of = _layer_function(module)
        single: list[dict] = []
        with _without_lines_of_parameters():
            super().add_params(single, module)
        settings = {id(group["params"][0]): group for group in single}

        rate = self.paramwise_cfg["layer_decay_rate"]
        groups: dict[tuple, dict] = {}
        scales: dict[tuple, float] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            layer, num_layers = layer_of(name)
            scale = rate ** (num_layers - 1 - layer)
            lr = settings[id(parameter)].get("lr", self.base_lr)
            decay = settings[id(parameter)].get("weight_decay", self.base_wd)
            if name.rpartition(".")[2] in WITHOUT_DECAY and not self._has_own_decay(name):
                decay = 0.0
            key = (layer, decay or 0.0, lr)
            group = groups.setdefault(key, dict(params=[], lr=lr * scale, layer=layer))
            if decay is not None:
                group["weight_decay"] = decay
            group["params"].append(parameter)
            scales[key] = scale
        keys = sorted(groups)
        params += [groups[key] for key in keys]
        self._log(module, [groups[key] for key in keys], [scales[key] for key in keys])

    def _has_own_decay(self, name: str) -> bool:
        custom = self.paramwise_cfg.get("custom_keys", {})
        return any(key in name and "decay_mult" in custom[key] for key in custom)

    def _log(self, model: nn.Module, groups: list[dict], scales: list[float]) -> None:
        rate = self.paramwise_cfg["layer_decay_rate"]
        lines = [
            f"Layer-wise learning-rate decay {rate}, learning rate {self.base_lr:g}:",
            "layer   x decay         lr   weight decay   tensors      values",
        ]
        for group, scale in zip(groups, scales):
            values = sum(parameter.numel() for parameter in group["params"])
            decay = group.get("weight_decay", 0.0)
            lines.append(
                f"{group['layer']:5d}  {scale:8.4f}  {group['lr']:9.3g}  {decay:13g}  "
                f"{len(group['params']):8d}  {values:10,d}"
            )
        names = {name for name, _ in model.named_parameters()}
        frozen = [p for p in model.parameters() if not p.requires_grad]
        if frozen:
            values = sum(parameter.numel() for parameter in frozen)
            lines.append(f"frozen: {len(frozen)} tensors, {values:,d} values")
        unused = [
            key
            for key in self.paramwise_cfg.get("custom_keys", {})
            if not any(key in name for name in names)
        ]
        if unused:
            lines.append(f"custom_keys in no parameter's name: {', '.join(unused)}")
        print_log("\n".join(lines), logger="current")


def _layer_function(model: nn.Module):
    """Full name of a parameter to (layer, number of layers), as the model's backbone tells."""
    backbone = getattr(model, "backbone", None)
    if not hasattr(backbone, "get_layer_depth"):
        what = (
            f"{type(model).__name__} has no backbone"
            if backbone is None
            else f"the backbone {type(backbone).__name__} has no get_layer_depth(name, prefix)"
        )
        raise TypeError(
            f"layer-wise learning-rate decay: {what}. Use one that has (mmspec.ConvViT, or a "
            "backbone of mmpretrain), or leave out constructor and layer_decay_rate"
        )
    return lambda name: backbone.get_layer_depth(name, "backbone.")


@contextmanager
def _without_lines_of_parameters() -> Iterator[None]:
    """Keeps back the line a parameter that mmengine logs; the table says the same in less."""

    def keep(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not message.startswith("paramwise_options") and "requires_grad=False" not in message

    logger = MMLogger.get_current_instance()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
