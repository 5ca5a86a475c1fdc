"""Layer-wise learning-rate decay for fine-tuning a pre-trained encoder."""

from collections.abc import Callable

from mmengine.logging import print_log
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

from mmspec.registry import OPTIM_WRAPPER_CONSTRUCTORS

KEYS = {
    *("layer_decay_rate", "custom_keys"),
    *("norm_decay_mult", "bias_decay_mult", "flat_decay_mult"),
}
#: Positions and tokens, in the names of ViTs and Swin: not matrices that weight decay is meant for.
WITHOUT_DECAY = {
    *("pos_embed", "absolute_pos_embed", "rel_pos_h", "rel_pos_w", "relative_position_bias_table"),
    *("cls_token", "mask_token"),
}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(LearningRateDecayOptimWrapperConstructor):
    """Shrink learning rates towards the input: ``lr * rate ** (layers - 1 - layer)``.

    The layer of a parameter is what the backbone's ``get_layer_depth(name, 'backbone.')`` says
    (ConvViT, MaskedViT and mmpretrain's backbones have it); necks and heads are the last layer.
    Models of mmseg and mmdet, which mmpretrain's own constructor does not take, are served too
    (MAE, arXiv 2111.06377, appendix A.1; BEiT, arXiv 2106.08254). Positions and tokens
    (``WITHOUT_DECAY``) have no weight decay, as there, unless a custom key gives them one.

    ``optim_wrapper=dict(constructor='mmspec.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75, norm_decay_mult=0.0, bias_decay_mult=0.0))``

    Args:
        optim_wrapper_cfg: mmengine's, with a learning rate and a weight decay.
        paramwise_cfg: ``layer_decay_rate`` in (0, 1], and mmengine's ``custom_keys`` (with
            ``decay_mult`` alone), ``norm_decay_mult``, ``bias_decay_mult``, ``flat_decay_mult``.

    Raises:
        ValueError: an unknown key, no or an impossible ``layer_decay_rate``, no learning rate or
            weight decay.
        TypeError: the model has no backbone, or one that does not tell its layers.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        name, given = type(self).__name__, self.paramwise_cfg
        custom = given.get("custom_keys", {})
        for where, settings, known in (
            ("paramwise_cfg", given, KEYS),
            *((f"custom_keys[{key!r}]", custom[key], {"decay_mult"}) for key in custom),
        ):
            if unknown := sorted(set(settings) - known):
                raise ValueError(
                    f"{name}: unknown key {unknown[0]!r} in {where}; known: {sorted(known)}"
                )
        rate = given.get("layer_decay_rate")
        if rate is None or not 0 < rate <= 1:
            raise ValueError(
                f"{name}: paramwise_cfg.layer_decay_rate={rate}: a number in (0, 1], 0.75 say"
            )
        if self.base_lr is None or self.base_wd is None:
            wanted = "a learning rate and a weight decay, lr=..., weight_decay=..."
            raise ValueError(f"{name}: the optimizer needs {wanted}")

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = "", **kwargs) -> None:
        """Append one parameter group a layer and weight decay.

        Each group holds ``params``, ``lr``, ``weight_decay`` and ``layer``.
        """
        if prefix:  # mmpretrain's recursion through the children
            super().add_params(params, module, prefix=prefix, **kwargs)
            return
        single: list[dict] = []
        super().add_params(single, module, get_layer_depth=_layer_function(module))
        # A shared parameter once, by its first name.
        single = {id(one["params"][0]): one for one in reversed(single)}.values()
        custom = self.paramwise_cfg.get("custom_keys", {})
        decayed = [key for key in custom if "decay_mult" in custom[key]]
        groups: dict[tuple, dict] = {}
        for one in reversed(single):
            name, layer, decay = one["param_name"], one["layer_id"], one["weight_decay"]
            if name.rpartition(".")[2] in WITHOUT_DECAY and not any(key in name for key in decayed):
                decay = 0.0
            group = dict(params=[], lr=one["lr"], weight_decay=decay, layer=layer)
            groups.setdefault((layer, decay), group)["params"] += one["params"]
        groups = [groups[key] for key in sorted(groups)]
        params += groups
        self._log(module, groups)

    def _log(self, model: nn.Module, groups: list[dict]) -> None:
        rate = self.paramwise_cfg["layer_decay_rate"]
        lines = [
            f"Layer-wise learning-rate decay {rate}, learning rate {self.base_lr:g}:",
            "layer   x decay         lr   weight decay   tensors      values",
        ]
        for group in groups:
            scale = group["lr"] / (self.base_lr or 1)
            values = sum(parameter.numel() for parameter in group["params"])
            lines.append(
                f"{group['layer']:5d}  {scale:8.4f}  {group['lr']:9.3g}  "
                f"{group['weight_decay']:13g}  {len(group['params']):8d}  {values:10,d}"
            )
        if frozen := [p.numel() for p in model.parameters() if not p.requires_grad]:
            lines.append(f"frozen: {len(frozen)} tensors, {sum(frozen):,d} values")
        names = "\n".join(name for name, _ in model.named_parameters())
        if unused := [k for k in self.paramwise_cfg.get("custom_keys", {}) if k not in names]:
            lines.append(f"custom_keys in no parameter's name: {', '.join(unused)}")
        print_log("\n".join(lines), logger="current")


def _layer_function(model: nn.Module) -> Callable[[str], tuple[int, int]]:
    """Full name of a parameter to (layer, number of layers), as the model's backbone tells."""
    backbone = getattr(model, "backbone", None)
    if not hasattr(backbone, "get_layer_depth"):
        what = f"the backbone {type(backbone).__name__} has no get_layer_depth(name, prefix)"
        if backbone is None:
            what = f"{type(model).__name__} has no backbone"
        raise TypeError(
            f"layer-wise learning-rate decay: {what}. Use one that has (mmspec.ConvViT, or a "
            "backbone of mmpretrain), or leave out constructor and layer_decay_rate"
        )
    return lambda name: backbone.get_layer_depth(name, "backbone.")
