"""What a run tells while it trains: images a second, a progress bar, and a loss that went wrong."""

import math

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from mmspec.registry import HOOKS

from .deferred_log import is_at_hand
from .repeatable import images_per_step


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Log ``images_per_s``: images of all ranks by the time of an iteration with loading."""

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        # The mean time, not the mean rate: that would hide the iterations that wait for data.
        seconds = runner.message_hub.get_scalar("train/time").mean(50)
        # Those of a whole step: an epoch's last batch, a smaller one, has not the mean time.
        runner.message_hub.update_scalar("train/images_per_s", images_per_step(runner) / seconds)


@HOOKS.register_module()
class StopOnInvalidLossHook(Hook):
    """End a run whose loss is NaN or infinite, with what is needed to find the cause.

    Where a gradient scaler leaves out such a step (float16), the run goes on, unless the loss is
    invalid ``in_a_row`` times; elsewhere the step has spoilt the weights. On a CPU every loss is
    looked at as it comes; on a GPU, which nobody waits for, ``interval`` of them together, and the
    message names the first that went wrong.
    """

    def __init__(self, in_a_row: int = 10, interval: int = 50) -> None:
        self.in_a_row = in_a_row
        self.interval = interval
        self.count = 0
        #: Where and of what the losses are that nobody has looked at.
        self.places: list[tuple[str, float, list[str]]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs=None
    ) -> None:
        place = f"in epoch {runner.epoch + 1}, iteration {runner.iter + 1}"
        rate = next(iter(runner.optim_wrapper.get_lr().values()))[0]
        self.places.append((place, rate, _names(data_batch)))
        # A number of them, not of the run: so a run that is resumed looks at its first ones too.
        if is_at_hand(runner.message_hub, "train/loss") or len(self.places) >= self.interval:
            self._look(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._look(runner)  # no weights are saved that are spoilt

    def after_train(self, runner: Runner) -> None:
        self._look(runner)

    def _look(self, runner: Runner) -> None:
        if not self.places:
            return
        losses = runner.message_hub.get_scalar("train/loss").data[0][-len(self.places) :]
        places, self.places = self.places, []
        for loss, place in zip(losses, places):
            self._judge(runner, float(loss), *place)

    def _judge(
        self, runner: Runner, loss: float, place: str, rate: float, names: list[str]
    ) -> None:
        if math.isfinite(loss):
            self.count = 0
            return
        self.count += 1
        place = f"loss is {loss} {place}"
        scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
        if scaler is not None and scaler.is_enabled() and self.count < self.in_a_row:
            runner.logger.warning(f"{place}: its step is left out and the loss scale lowered")
            return
        times = f" ({self.count} times in a row)" if self.count > 1 else ""
        raise FloatingPointError(
            f"{place}{times}, at learning rate {rate:.3g}. Images: "
            f"{', '.join(names) or '(not told)'}. Usual causes: too high a learning rate or "
            "too short a warm-up, fp16 (try bfloat16: optim_wrapper.dtype), or broken images. "
            f"Checkpoints are in {runner.work_dir}"
        )


def _names(data_batch: dict | None) -> list[str]:
    """The first images of a batch by name, and how many more there are."""
    data_batch = data_batch or {}
    samples = data_batch.get("data_samples") or []
    names = list(data_batch.get("img_path", []))
    names += [str(sample.get("img_path")) for sample in samples if hasattr(sample, "get")]
    return names[:4] + [f"and {len(names) - 4} more"] * (len(names) > 4)


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
        self.bar.update()
        scalars = runner.message_hub.log_scalars
        # On a GPU seldom: reading a loss waits for it.
        if self.bar.n % 50 and not is_at_hand(runner.message_hub, "train/loss"):
            return
        shown = {"loss": f"{scalars['train/loss'].mean(20):.4f}"}
        if "train/images_per_s" in scalars:
            shown["images/s"] = f"{scalars['train/images_per_s'].current():.0f}"
        self.bar.set_postfix(shown, refresh=False)

    def after_train(self, runner: Runner) -> None:
        self.bar.close()
