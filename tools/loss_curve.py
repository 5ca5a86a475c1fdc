"""The loss of a run as a picture."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mmspec.text_files import read_json_lines


def read_losses(work_dir: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Logged (iterations, losses) of the runs in a work directory.

    A later run replaces an earlier one's losses from its own first iteration on: a resumed run goes
    on with the curve, a new one starts another.

    Raises:
        FileNotFoundError: the directory holds no log of a run.
        TextFileError: a log is no JSON, line by line.
    """
    losses: dict[int, float] = {}
    logs = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))
    if not logs:
        raise FileNotFoundError(f"{work_dir}: no */vis_data/scalars.json, the log of a run")
    for log in logs:
        entries = read_json_lines(log)
        found = {entry["step"]: entry["loss"] for entry in entries if "loss" in entry}
        if found:
            start = min(found)
            losses = {step: loss for step, loss in losses.items() if step < start} | found
    steps = sorted(losses)
    return np.array(steps), np.array([losses[step] for step in steps])


def save_loss_curve(work_dir: str | Path, path: str | Path) -> None:
    """Draw the logged losses of a run into a picture file."""
    steps, losses = read_losses(work_dir)
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    axes.plot(steps, losses, color="tab:red", linewidth=1.5)
    axes.set(xlabel="iteration", ylabel="reconstruction loss", ylim=(0, None))
    last = f"last logged loss {losses[-1]:.3f}" if len(losses) else "no loss logged"
    axes.set_title(last, fontsize="medium")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
