"""Masks, targets and rates of InfMAE in as many minutes and in as many images.

Judged are frozen features (best: the best of the maps by themselves) and a fine-tuning.
"""

from _common import pretraining, row, until
from _probes import probed, title

_EPOCHS = 6
# What a recipe is called, its variant of the tiny config, its options, and how many epochs take
# about the minutes of six of the first, which is an estimate: the fine-tuned table shows the
# minutes that each took. Of complementary masks two are too long and one is too short.
_RECIPES = [
    ("InfMAE", "", "", 6),
    ("InfMAE at twice the rate", "", "optim_wrapper.optimizer.lr=2e-3", 6),
    ("normalised pixels", "", "model.head.norm_pix=True", 6),
    ("HOG", "_hog", "", 5),
    ("log-ratio gradients", "_log-ratio", "", 6),
    ("moving average", "_average", "", 4),
    ("normalised pixels and HOG", "_pixels-hog", "", 5),
    ("complementary masks", "_complementary", "", 2),
    ("complementary masks, normalised", "_complementary", "model.head.norm_pix=True", 2),
    ("drawn ranks", "", "model.masker.ranks=drawn", 6),
    ("drawn ranks, normalised", "", "model.masker.ranks=drawn model.head.norm_pix=True", 6),
    ("tempered ranks", "", "model.masker.temperature=0.5", 6),
    ("tempered ranks, normalised", "", "model.masker.temperature=0.5 model.head.norm_pix=True", 6),
    ("random mask", "", "model.masker.score=white", 6),
    ("random mask, normalised", "", "model.masker.score=white model.head.norm_pix=True", 6),
    ("green noise", "", "model.masker.score=green model.masker.ranks=top", 6),
]
_SCHEDULES = {"_complementary": "1xb8-coslr-5e"}


def _pretraining(variant: str, options: str, epochs: int) -> dict:
    schedule = _SCHEDULES.get(variant, "1xb32-coslr-20e")
    config = f"infmae_convvit-tiny-p16{variant}_{schedule}_inf-mini"
    return pretraining(config, epochs, [*options.split(), *until(epochs)])


def _name(recipe: str, epochs: int) -> str:
    """Of the pre-training; six epochs of InfMAE are those of the probes' table."""
    slug = recipe.lower().replace(",", "").replace(" ", "-")
    return f"probed-{slug}" + ("" if epochs == _EPOCHS else f"-{epochs}e")


# Each for as many minutes and, where that is another number, for as many epochs as the first.
_RUNS = [
    (recipe, variant, options, epochs)
    for recipe, variant, options, in_time in _RECIPES
    for epochs in sorted({in_time, _EPOCHS})
]
PRETRAIN = {
    _name(recipe, epochs): _pretraining(variant, options, epochs)
    for recipe, variant, options, epochs in _RUNS
}
_WHAT = (
    f"Recipes of pre-training; as many minutes as {_EPOCHS} epochs of the first, or as many images"
)


def _probed(data: str) -> dict:
    what, numbers = title(data)
    rows = [
        probed(f"{recipe}, {epochs} epochs, {of}", data, "{weights}", _name(recipe, epochs), of)
        for recipe, _, _, epochs in _RUNS
        for of in ("best", "all")
    ]
    metrics = {number: number for number in numbers}
    return dict(
        name=f"recipes {data}", title=f"{_WHAT}. Frozen maps, {what}", metrics=metrics, rows=rows
    )


def _fine_tuned(count: int) -> dict:
    config = "seg/infmae_convvit-tiny_upernet_1xb4-1k_eye-200x200"
    rows = [
        row(
            f"{recipe}, {epochs} epochs",
            config,
            count,
            _name(recipe, epochs),
            [],
            seeded=True,
            cell=("recipes", _name(recipe, epochs), "eye"),
        )
        for recipe, _, _, epochs in _RUNS
    ]
    metrics = {name: name for name in ("mIoU", "mAcc", "minutes of pre-training")}
    title = f"{_WHAT}. Fine-tuned, eye_seg, {count} iterations of 4 images: IoU in percent"
    return dict(name="recipes fine-tuned", title=title, metrics=metrics, rows=rows)


def tables() -> list[dict]:
    return [_probed("eye"), _probed("udder"), _fine_tuned(400)]
