"""What the tables share: encoders that are pre-trained first, and schedules cut to a budget."""


def pretraining(
    config: str, epochs: int, options: list[str] | None = None, start: str | None = None
) -> dict:
    """An entry of PRETRAIN: a config, its overrides, the checkpoint it leaves, what it starts from.

    ``start`` is the name of another entry.
    """
    return dict(
        config=f"configs/pretrain/{config}.py",
        options=list(options or []),
        checkpoint=f"epoch_{epochs}.pth",
        start=start,
    )


def until(epochs: int) -> list[str]:
    """Overrides of a tiny config: its end, and that of its decay."""
    return [f"train_cfg.max_epochs={epochs}", f"param_scheduler.1.end={epochs}"]


def row(
    name: str, config: str, count: int, start: str | None, options: list[str] | None = None, **more
) -> dict:
    """A row: a config that trains for so many iterations from an entry of PRETRAIN.

    With ``options``, overrides, its schedule of warm-up and decay is made to end there; without, it
    is run as it is.
    """
    if options is not None:
        options = [
            *options,
            f"train_cfg.max_iters={count}",
            f"train_cfg.val_interval={count}",
            f"param_scheduler.1.end={count}",
            f"default_hooks.checkpoint.interval={count}",
        ]
    return dict(
        name=name,
        config=f"configs/{config}.py",
        options=options or [],
        pretrain=start,
        checkpoint=f"iter_{count}.pth",
        **dict(paper={}) | more,
    )


#: Overrides that leave the test at the end alone.
WITHOUT_VALIDATION = ["val_cfg=None", "val_dataloader=None", "val_evaluator=None"]


_TINY = "infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini"
_TINY_MAE = "mae_vit-tiny-p16_1xb32-coslr-20e_inf-mini"
_200_EPOCHS = [
    "train_cfg.max_epochs=200",
    "param_scheduler.0.end=10",
    "param_scheduler.1.begin=10",
    "param_scheduler.1.end=200",
]
_INF30 = "-base-p16_4xb64-amp-coslr-400e_inf30"

PRETRAIN = {
    "infmae-tiny": pretraining(_TINY, 20),
    "mae-tiny": pretraining(_TINY_MAE, 20),
    "mspecgene-tiny": pretraining("mspecgene_vit-tiny-p16_1xb20-coslr-40e_roadscene", 40),
    # On a GPU: larger networks, ten times as long, on the same images.
    "infmae-small": pretraining(
        _TINY,
        200,
        [
            "model.backbone.arch=small",
            "model.neck.in_dims=384",
            "model.neck.dims=256",
            "model.neck.num_heads=8",
            *_200_EPOCHS,
        ],
    ),
    "mae-small": pretraining(
        _TINY_MAE,
        200,
        [
            "model.backbone.arch=deit-small",
            "model.neck.embed_dim=384",
            "model.neck.decoder_embed_dim=256",
            "model.neck.decoder_num_heads=8",
            *_200_EPOCHS,
        ],
    ),
    "infmae": pretraining(f"infmae_convvit{_INF30}", 400),
    "mae": pretraining(f"mae_vit{_INF30}", 400),
    "mcmae": pretraining(f"mcmae_convvit{_INF30}", 400),
    "um-mae": pretraining("um-mae_swin-tiny-p16_4xb64-amp-coslr-400e_inf30", 400),
    # The two stages of M-SpecGene; weights of the first were never published.
    "mae-thermal": pretraining("mae_vit-base-p16_8xb128-amp-coslr-400e_imagenet-thermal", 400),
    "mspecgene": pretraining(
        "mspecgene_vit-base-p16_8xb128-amp-coslr-100e_rgbt550k", 100, start="mae-thermal"
    ),
}
