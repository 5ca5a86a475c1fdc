"""Rows whose pre-training is judged by a probe in place of a fine-tuning (docs/probe.md)."""

import os

#: Of inf_mini that an encoder sees before it is judged.
EPOCHS = 3
_DATA = os.environ.get("MMSPEC_DATA", "data")  # as in the configs

_LISTS = ["--splits", "trainval", "test"]
# Title, data set class, folder, task of tools/probe.py, and what it is told beside them.
_SETS = {
    "eye": ("eyes (near infrared)", "EyeDataset", "eye_seg", "seg", []),
    "udder": ("udders", "UdderDataset", "udder_seg", "seg", []),
    "hit-uav": (
        "HIT-UAV, boxes as coarse masks",
        "HITUAVDataset",
        "hit_uav",
        "seg",
        ["--splits", "train", "val"],
    ),
    "sirst-v2": ("SIRST-v2", "SIRSTv2Dataset", "sirst_v2", "points", _LISTS),
    "irstd1k": ("IRSTD-1k", "IRSTD1kDataset", "irstd1k", "points", _LISTS),
    "roadscene": ("RoadScene", "RoadSceneMatchingDataset", "roadscene", "match", []),
}
_JUDGES = ("linear", "linear, no positions", "neighbours", "neighbours, no positions")
# Title of the numbers and the numbers, by task.
_NUMBERS = {
    "seg": ("mean IoU in percent", _JUDGES),
    "points": ("in percent, Fa in 1e-6", ("IoU", "nIoU", "Pd", "Fa")),
    "match": ("percent of the matches within 3 and 10 pixels", ("MMA@3", "MMA@10", "matches")),
}


def data_sets() -> list[str]:
    return list(_SETS)


def title(data: str) -> tuple[str, tuple[str, ...]]:
    """What a table of a data set is called, and what its columns are."""
    what, _, _, task, _ = _SETS[data]
    unit, numbers = _NUMBERS[task]
    return f"{what}: {unit}", numbers


def probed(
    name: str, data: str, encoder: str, start: str | None, of: str, arch: str | None = None
) -> dict:
    """A row that shows one map (``of``; 'best': of the maps by themselves) of a probed encoder.

    Args:
        name: of the row.
        data: a data set.
        encoder: as tools/probe.py takes it; ``{weights}`` is the checkpoint of ``start``.
        start: the pre-training, with the row's seed, or None.
        of: the map.
        arch: of random weights.
    """
    _, kind, folder, task, options = _SETS[data]
    command = ["tools/probe.py", encoder, "--task", task, "--data", kind, f"{_DATA}/{folder}"]
    command += options
    if arch is not None:
        command += ["--arch", arch]
    command += ["--seeds", "1", "--first-seed", "{seed}", "--out", "{folder}"]
    return dict(
        name=name,
        config=None,
        options=[],
        pretrain=start,
        seeded=True,
        paper={},
        cell=("probe", data, start or "", encoder),
        of=f"{of}: ",
        score=dict(command=command, file="results.json", read=read_probe),
    )


def read_probe(found: dict) -> dict[str, float]:
    """Numbers of each map, and of the best by itself, from the file of tools/probe.py."""
    metrics: dict[str, float] = {}
    for record in found["results"]:
        judge = f"{record['judge']}{', no positions' if record['rolled'] else ''}"
        # Where one judge has several numbers, they are called by their own names.
        numbers = {name: record[name] for name in record.get("shown", ())} or {
            judge: record[record["score"]]
        }
        for name, value in numbers.items():
            metrics[f"{record['map']}: {name}"] = value
            if record["map"] != "all":
                best = f"best: {name}"
                metrics[best] = max(metrics.get(best, value), value)
    return metrics
