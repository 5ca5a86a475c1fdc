"""The ablations of InfMAE with smaller networks on the images at hand: the rows of cpu and gpu.

Pre-trained are the configs of the paper's rows, with other widths, epochs and data.
"""

import os
from collections.abc import Sequence

import det
import seg
from _common import WITHOUT_VALIDATION, pretraining, row

_DATA = os.environ.get("MMSPEC_DATA", "data")  # as in the configs
_INF30 = "4xb64-amp-coslr-400e_inf30"
_CONVVIT = "infmae_convvit-base-p16"
# Epochs of pre-training, iterations of detection and segmentation, overrides of detection.
_LENGTHS = dict(tiny=(4, 500, 400, det.QUICK), small=(40, 6000, 4000, []))
# Encoder, its width, width and heads of the decoder.
_NETWORKS = dict(
    tiny=dict(
        convvit=("tiny", 224, 128, 4),
        vit=("deit-tiny", 192, 128, 4),
        swin=(dict(embed_dims=48, depths=[2, 2, 6, 2], num_heads=[2, 4, 8, 16]), 192, 128, 4),
    ),
    small=dict(convvit=("small", 384, 256, 8), vit=("deit-small", 384, 256, 8)),
)


def smaller_pretraining(
    size: str,
    config: str,
    times: float = 1,
    images: str = "inf_mini/images",
    options: Sequence[str] = (),
) -> dict:
    """A config of the paper, smaller, for ``times`` the epochs of the size, in one process."""
    kind = next(kind for kind in ("convvit", "swin", "vit") if kind in config)
    arch, width, dims, heads = _NETWORKS[size][kind]
    network = [f"model.backbone.arch={arch}"]
    if kind == "swin":
        parts = [f"{key}={value}".replace(" ", "") for key, value in arch.items()]
        network = [f"model.backbone.arch.{part}" for part in ("_delete_=True", *parts)]
        network.append(f"model.backbone.token_dims={width}")
    neck = dict(in_dims=width, dims=dims, num_heads=heads)
    if config.startswith("mae"):  # mmpretrain's decoder
        neck = dict(embed_dim=width, decoder_embed_dim=dims, decoder_num_heads=heads)
    epochs = round(times * _LENGTHS[size][0])
    warmup = max(1, epochs // 20)
    return pretraining(
        config,
        epochs,
        [
            *network,
            *(f"model.neck.{key}={value}" for key, value in neck.items()),
            f"train_dataloader.dataset.data_root={_DATA}/{images}",
            "train_dataloader.batch_size=32",
            "train_dataloader.num_workers=1",
            # As the tiny configs have it.
            "optim_wrapper.type=mmspec.Bfloat16OptimWrapper",
            "optim_wrapper.optimizer.lr=1e-3",
            "auto_scale_lr.base_batch_size=32",
            f"train_cfg.max_epochs={epochs}",
            f"param_scheduler.0.end={warmup}",
            f"param_scheduler.1.begin={warmup}",
            f"param_scheduler.1.end={epochs}",
            "default_hooks.logger.interval=20",
            *options,
        ],
    )


_MAE = f"mae_vit-base-p16_{_INF30}"
_DEFAULT = f"{_CONVVIT}_{_INF30}"
# The sources of inf_mini that table 8 goes through, by number of images.
_SOURCES = {"sirst_v2": 597, "udder": 1395, "hit_uav": 1829}


def _pretrainings(size: str) -> dict:
    entries = {
        "mae": smaller_pretraining(size, _MAE),
        "infmae-vit": smaller_pretraining(size, f"infmae_vit-base-p16_{_INF30}"),
        "infmae": smaller_pretraining(size, _DEFAULT),
    }
    for change in ("random-mask", "released-mask", *_changes("dec"), *_changes("stride")):
        entries[f"infmae-{change}"] = smaller_pretraining(size, f"{_CONVVIT}_{change}_{_INF30}")
    for times in (0.5, 2, 4):
        entries[f"infmae-{times}x"] = smaller_pretraining(size, _DEFAULT, times)
    for source in _SOURCES:
        entries[f"infmae-{source}"] = smaller_pretraining(
            size, _DEFAULT, images=f"inf_mini/images/{source}"
        )
    # Pairs of images, so that the scenes are the same: a quarter of the steps of the others.
    for name, images in (("visible", "crop_LR_visible"), ("infrared", "cropinfrared")):
        entries[f"mae-{name}"] = smaller_pretraining(size, _MAE, 8, f"roadscene/{images}")

    arch = ("embed_dims=192", "num_heads=3", "feedforward_channels=768", "num_layers=12")
    if size == "small":
        arch = ("embed_dims=384", "num_heads=6", "feedforward_channels=1536", "num_layers=12")
    width = _NETWORKS[size]["vit"][1]
    stage = (
        "mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene",
        40,
        [*(f"model.backbone.arch.{part}" for part in arch), f"model.neck.in_dims={width}"],
    )
    entries["mspecgene"] = pretraining(*stage, start=f"{size}-mae")
    entries["mspecgene-alone"] = pretraining(*stage)
    return {f"{size}-{name}": entry for name, entry in entries.items()}


def _changes(kind: str) -> list[str]:
    return [f"{kind}{n}" for n in dict(dec=(4, 8, 12), stride=(2, 7, 14))[kind]]


PRETRAIN = {**_pretrainings("tiny"), **_pretrainings("small")}


def _table(size: str, name: str, what: str, rows: list[tuple[str, str]], task: str) -> dict:
    """Rows of a name and a pre-training."""
    epochs, det_count, seg_count, quick = _LENGTHS[size]
    if task == "det":
        data, count, metrics = "hit-uav-512x640", det_count, {"AP50": "AP50", "mAP": "mAP"}
        title = f"HIT-UAV, {count} iterations of 4 crops: AP in percent"
    else:
        data, count, metrics = "eye-200x200", seg_count, {"mIoU": "mIoU", "mAcc": "mAcc"}
        title = f"eye_seg, {count} iterations of 4 images: IoU in percent"
    entries = []
    for variant, start in rows:
        if task == "det":
            plain = start.startswith("mae") or start == "infmae-vit"
            kind, algorithm = ("vit", "mae") if plain else ("convvit", "infmae")
            config = f"det/{algorithm}_{kind}-tiny_faster-rcnn_1xb4-1k_{data}"
            options = [*det.NETWORKS[size][kind], *quick]
        else:
            config, options = f"seg/infmae_convvit-tiny_upernet_1xb4-1k_{data}", seg.NETWORKS[size]
        # Tables share the row of what is not changed.
        cell = ("ablations", start, data)
        entries.append(row(variant, config, count, f"{size}-{start}", options, cell=cell))
    what = f"{what}, networks of size {size}, {epochs} epochs of pre-training unless it says"
    title = f"{name.capitalize()}, {what} otherwise. {title}"
    return dict(name=name, title=title, metrics=metrics, rows=entries)


def _stages(size: str) -> dict:
    width, count = _NETWORKS[size]["vit"][1], _LENGTHS[size][2]
    encoder = "model.backbone.backbone"
    options = [
        *(f"{encoder}.arch.{part}" for part in (f"embed_dims={width}", "num_layers=12")),
        f"{encoder}.arch.num_heads={width // 64}",
        f"{encoder}.arch.feedforward_channels={4 * width}",
        f"{encoder}.out_indices=[3,5,7,11]",
        f"model.neck.embed_dim={2 * width}",
        f"model.decode_head.in_channels={[2 * width] * 4}".replace(" ", ""),
        f"model.auxiliary_head.in_channels={2 * width}",
        *WITHOUT_VALIDATION,
    ]
    config = "seg/mspecgene_vit-tiny_upernet_1xb4-1k_synthetic-256x256"
    rows = [
        row(name, config, count, f"{size}-{start}", options, encoder=encoder)
        for name, start in (
            ("first alone: MAE on infrared images", "mae"),
            ("second alone: M-SpecGene from random weights", "mspecgene-alone"),
            ("both: M-SpecGene from MAE", "mspecgene"),
        )
    ]
    title = (
        f"The stages of M-SpecGene, networks of size {size}. Rendered pairs, {count} iterations of"
        " 4: IoU in percent"
    )
    return dict(name="stages", title=title, metrics={"mIoU": "mIoU", "mAcc": "mAcc"}, rows=rows)


def tables(size: str) -> list[dict]:
    """All tables of a size."""
    epochs = _LENGTHS[size][0]
    parts = [
        ("neither: MAE", "mae"),
        ("information-aware masking", "infmae-vit"),
        ("multi-scale encoder", "infmae-random-mask"),
        ("both: InfMAE", "infmae"),
        ("both, the released masking", "infmae-released-mask"),
    ]
    amounts = [(f"{source}, {n} images", f"infmae-{source}") for source, n in _SOURCES.items()]
    lengths = {"infmae-0.5x": 0.5, "infmae": 1, "infmae-2x": 2, "infmae-4x": 4}
    return [
        _table(size, "table 4", "the parts of InfMAE", parts, "det"),
        _table(
            size,
            "table 5",
            "blocks of the decoder",
            [("2", "infmae"), *((n[3:], f"infmae-{n}") for n in _changes("dec"))],
            "seg",
        ),
        _table(
            size,
            "table 6",
            "stride of the masking",
            [
                ("2", "infmae-stride2"),
                ("4", "infmae"),
                ("7", "infmae-stride7"),
                ("14", "infmae-stride14"),
            ],
            "seg",
        ),
        _table(
            size,
            "table 7",
            "epochs of pre-training",
            [(str(round(times * epochs)), start) for start, times in lengths.items()],
            "seg",
        ),
        _table(size, "table 8", "data", [*amounts, ("all five, 4222 images", "infmae")], "seg"),
        _table(
            size,
            "section 5.6",
            "plain MAE on either image of RoadScene's pairs (eight times the epochs)",
            [("visible", "mae-visible"), ("infrared", "mae-infrared")],
            "det",
        ),
        _stages(size),
    ]
