"""What a run tells while it trains: images a second, a progress bar, and a loss that went wrong."""

from __future__ import annotations

import math

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from mmspec.registry import HOOKS


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Log ``images_per_s``: images of all ranks by the time of an iteration with loading."""

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        # The mean time, not the mean rate: that would hide the iterations that wait for data.
        seconds = runner.message_hub.get_scalar("train/time").mean(50)
        images = len(data_batch["inputs"]) * get_world_size()
        runner.message_hub.update_scalar("train/images_per_s", images / seconds)


@HOOKS.register_module()
class StopOnInvalidLossHook(Hook):
    """End a run whose loss is NaN or infinite, with what is needed to find the cause.

    Where a gradient scaler leaves out such a step (mixed precision), the run goes on, unless the
    loss is invalid ``in_a_row`` times; elsewhere the step has spoilt the weights. The value is the
    one that mmengine has already brought to the host for its log, so that looking costs nothing.
    """

    def __init__(self, in_a_row: int = 10) -> None:
        self.in_a_row = in_a_row
        self.count = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        loss = runner.message_hub.get_scalar("train/loss").current()
        if math.isfinite(loss):
            self.count = 0
            return
        self.count += 1
        place = f"loss is {loss} in epoch {runner.epoch + 1}, iteration {runner.iter + 1}"
        scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
        if scaler is not None and scaler.is_enabled() and self.count < self.in_a_row:
            runner.logger.warning(f"{place}: its step is left out and the loss scale lowered")
            return
        times = f" ({self.count} times in a row)" if self.count > 1 else ""
        rate = next(iter(runner.optim_wrapper.get_lr().values()))[0]
        names = list(data_batch.get("img_path", []))
        samples = data_batch.get("data_samples") or []
        names += [str(sample.get("img_path")) for sample in samples if hasattr(sample, "get")]
        if len(names) > 4:
            names[4:] = [f"and {len(names) - 4} more"]
        raise FloatingPointError(
            f"{place}{times}, at learning rate {rate:.3g}. Images: "
            f"{', '.join(names) or '(not told)'}. Usual causes: too high a learning rate or "
            "too short a warm-up, fp16 (try bfloat16: optim_wrapper.dtype), or broken images. "
            f"Checkpoints are in {runner.work_dir}"
        )


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """One bar over all iterations of a run, with loss and images a second, for a terminal."""

    # After the hooks that update the values it shows.
    priority = "LOW"

    def before_train(self, runner: Runner) -> None:
        shown = dict(unit="it", dynamic_ncols=True, disable=not is_main_process())
        self.bar = tqdm(total=runner.max_iters, initial=runner.iter, **shown)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        scalars = runner.message_hub.log_scalars
        shown = {"loss": f"{scalars['train/loss'].mean(20):.4f}"}
        if "train/images_per_s" in scalars:
            shown["images/s"] = f"{scalars['train/images_per_s'].current():.0f}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def after_train(self, runner: Runner) -> None:
        self.bar.close()
