"""Masks, targets and rates of InfMAE in as many minutes and in as many images.

Judged are frozen features (best: the best of the maps by themselves) and a fine-tuning.
"""

from _common import pretraining, row, until
from _probes import EPOCHS, probed, title

# What a recipe is called, its variant of the tiny config, its options, and how many epochs take
# about the minutes of EPOCHS of the first, which is an estimate: the fine-tuned table shows the
# minutes that each took.
_MUON = (
    "optim_wrapper.optimizer.type=mmspec.Muon "
    "optim_wrapper.constructor=mmspec.MuonOptimWrapperConstructor"
)
_RECIPES = [
    ("InfMAE", "", "", EPOCHS),
    ("InfMAE at twice the rate", "", "optim_wrapper.optimizer.lr=2e-3", EPOCHS),
    ("normalised pixels", "", "model.head.norm_pix=True", EPOCHS),
    ("HOG", "_hog", "", EPOCHS),
    ("log-ratio gradients", "_log-ratio", "", EPOCHS),
    ("Muon", "", _MUON, EPOCHS),
    ("log-ratio gradients, Muon", "_log-ratio", _MUON, EPOCHS),
    ("moving average", "_average", "", 2),
    ("normalised pixels and HOG", "_pixels-hog", "", EPOCHS),
    ("complementary masks", "_complementary", "", 1),
    ("complementary masks, normalised", "_complementary", "model.head.norm_pix=True", 1),
    ("drawn ranks", "", "model.masker.ranks=drawn", EPOCHS),
    ("drawn ranks, normalised", "", "model.masker.ranks=drawn model.head.norm_pix=True", EPOCHS),
    ("tempered ranks", "", "model.masker.temperature=0.5", EPOCHS),
    (
        "tempered ranks, normalised",
        "",
        "model.masker.temperature=0.5 model.head.norm_pix=True",
        EPOCHS,
    ),
    ("random mask", "", "model.masker.score=white", EPOCHS),
    ("random mask, normalised", "", "model.masker.score=white model.head.norm_pix=True", EPOCHS),
    ("green noise", "", "model.masker.score=green model.masker.ranks=top", EPOCHS),
]
_SCHEDULES = {"_complementary": "1xb8-coslr-5e"}


def _pretraining(variant: str, options: str, epochs: int) -> dict:
    schedule = _SCHEDULES.get(variant, "1xb32-coslr-20e")
    config = f"infmae_convvit-tiny-p16{variant}_{schedule}_inf-mini"
    return pretraining(config, epochs, [*options.split(), *until(epochs)])


def _name(recipe: str, epochs: int) -> str:
    """Of the pre-training; EPOCHS epochs of InfMAE are those of the probes' table."""
    slug = recipe.lower().replace(",", "").replace(" ", "-")
    return f"probed-{slug}" + ("" if epochs == EPOCHS else f"-{epochs}e")


# Each for as many minutes and, where that is another number, for as many epochs as the first.
_RUNS = [
    (recipe, variant, options, epochs)
    for recipe, variant, options, in_time in _RECIPES
    for epochs in sorted({in_time, EPOCHS})
]
PRETRAIN = {
    _name(recipe, epochs): _pretraining(variant, options, epochs)
    for recipe, variant, options, epochs in _RUNS
}
_WHAT = (
    f"Recipes of pre-training; as many minutes as {EPOCHS} epochs of the first, or as many images"
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
