"""Progressive masking of RGB-thermal pairs, made inside the model."""

import torch
from mmengine.dist import all_reduce, broadcast
from mmengine.model import BaseModule
from torch import Tensor

from mmspec.masking import PatchMask, cmss, visible_count
from mmspec.masking.cmss import NUM_COMPONENTS, Mixture, Schedule
from mmspec.registry import MODELS


@MODELS.register_module()
class CMSSMasking(BaseModule):
    """GMM-CMSS progressive masking (M-SpecGene, arXiv 2507.16318): easy patches are visible first.

    A training step fits the mixture of CMSS values a little further, draws targets and shows the
    patches nearest to them, different ones in the two modalities, without bringing a number to the
    host. An epoch's end moves the targets (``CMSSScheduleHook`` calls :meth:`end_epoch`). The state
    is buffers: it is saved and resumed with the model. Processes share their statistics and so hold
    the same state; in evaluation mode there is no communication and no change of state.

    Differences from the released code, beside numerical ones: both variances count, targets are
    shuffled, and the losses that are compared are means over the epoch, not its last step's.

    Args:
        mask_ratio: share of masked patches in each modality, at least 0.5: visible sets are
            disjoint.
        variance: 'both', or 'first' for the released metric, see
            :func:`~mmspec.masking.cmss.structural_sparsity`.
        shuffle: False for the released order, see :func:`~mmspec.masking.cmss.draw_targets`.
    """

    def __init__(
        self,
        mask_ratio: float = 0.9,
        variance: str = "both",
        shuffle: bool = True,
    ) -> None:
        super().__init__()
        if not 0.5 <= mask_ratio < 1:
            raise ValueError(
                f"mask_ratio={mask_ratio} is outside [0.5, 1): the visible patches of the two "
                "modalities are disjoint"
            )
        self.mask_ratio = mask_ratio
        self.variance = variance
        self.shuffle = shuffle
        self._statistics: dict[str, Tensor] = {}
        state = dict(
            **cmss.random_mixture(NUM_COMPONENTS)._asdict(),
            centres=torch.zeros(NUM_COMPONENTS),
            num_centres=torch.tensor(1),
            keep_shift=torch.tensor(0.0),
            target_shift=torch.tensor(0.0),
            loss_sums=torch.zeros(2),
            loss_count=torch.tensor(0.0),
            num_patches=torch.tensor(0),
            largest=torch.tensor(0.0),
        )
        for name, start in state.items():
            self.register_buffer(name, start)
        # Numbers of visible patches are shapes, which the host must know.
        self._keep_shift = 0

    @property
    def mixture(self) -> Mixture:
        return Mixture(self.means, self.variances, self.weights)

    @property
    def schedule(self) -> Schedule:
        """State of the schedule, read from the device."""
        centres = self.centres[: int(self.num_centres)].tolist()
        return Schedule(tuple(centres), float(self.keep_shift), float(self.target_shift))

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self.centres.zero_()
        self.centres[: len(schedule.centres)] = self.centres.new_tensor(schedule.centres)
        self.num_centres.fill_(len(schedule.centres))
        self.keep_shift.fill_(schedule.keep_shift)
        self.target_shift.fill_(schedule.target_shift)
        self._keep_shift = int(schedule.keep_shift)

    def visible_patches(self, num_patches: int) -> tuple[int, int]:
        """How many of an image's patches are visible this epoch: (infrared, visible)."""
        keep = visible_count(num_patches, self.mask_ratio)
        limit = cmss.largest_keep_shift(num_patches, self.mask_ratio)
        shift = min(max(self._keep_shift, -limit), limit)
        return keep - shift, keep + shift

    def scores(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """CMSS (B, L) of tokens (B, L, C), divided by the largest of all processes' batches.

        In evaluation mode by that of the last training step, so that a pair has the scores and the
        masks that it would have in training, alone or in any batch; they may exceed 1. A token that
        overflowed has NaN, and no part in the scores of others.
        """
        scores = cmss.structural_sparsity(infrared, visible, self.variance)
        finite = scores.isfinite()
        scores = torch.where(finite, scores, torch.nan)
        largest = torch.where(finite, scores, 0.0).max()
        if self.training:
            all_reduce(largest, "max")
            self.largest.copy_(largest)
        else:  # before any step there is none
            largest = torch.where(self.largest > 0, self.largest, largest)
        return scores / largest.clamp(min=torch.finfo(scores.dtype).tiny)

    @torch.no_grad()
    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[PatchMask, PatchMask]:
        """Mask infrared and visible images, each as one row of L patches.

        By their tokens (B, L, C), those after patch embedding and positions.
        """
        batch, num_patches = infrared.shape[:2]
        scores = self.scores(infrared, visible)
        if self.training:
            statistics = cmss.mixture_statistics(scores, self.mixture)
            all_reduce(statistics, "sum")
            for buffer, value in zip(self.mixture, cmss.updated_mixture(self.mixture, statistics)):
                buffer.copy_(value)
            self.num_patches.fill_(num_patches)
        keep = self.visible_patches(num_patches)
        targets = []
        for count, sign in zip(keep, (1, -1)):
            distribution = cmss.target_distribution(
                self.mixture, self.centres, self.num_centres, sign * self.target_shift
            )
            counts = (batch, num_patches, count)
            targets.append(cmss.draw_targets(distribution, self.num_centres, *counts, self.shuffle))
        ids = cmss.choose_nearest(scores, torch.cat(targets, 1))
        self._statistics = {
            "cmss_visible": scores.gather(1, ids).nanmean(),
            "cmss_all": scores.nanmean(),
        }
        return tuple(PatchMask.from_keep(kept, (1, num_patches)) for kept in ids.split(keep, 1))

    def statistics(self) -> dict[str, Tensor]:
        """What to log of the last batch: mean CMSS of the patches visible in either modality, which
        rises over the epochs, and of all patches; scalar tensors on the device."""
        return self._statistics

    @torch.no_grad()
    def begin_training(self, done: int) -> None:
        """Bring the processes to one state, the first one's, and a new run to its first schedule.

        New is a run of which no iteration is ``done``; its weights may come from a checkpoint.
        """
        for buffer in self.buffers():
            broadcast(buffer)
        self.schedule = self.schedule if done else Schedule()
        if not done:
            self.loss_sums.zero_()
            self.loss_count.zero_()

    @torch.no_grad()
    def update_losses(self, infrared: Tensor, visible: Tensor) -> None:
        """Add the two losses (scalars) of a training step, of all processes, to the epoch's.

        A step with a loss that is not finite, which a gradient scaler skips, does not count.
        """
        losses = torch.stack([infrared.detach(), visible.detach()]).to(self.loss_sums.dtype)
        finite = losses.isfinite().all()
        # Now, not at the epoch's end: a checkpoint inside the epoch is one process's state.
        step = torch.cat([torch.where(finite, losses, 0.0), finite[None].to(losses.dtype)])
        all_reduce(step, "sum")
        self.loss_sums += step[:2]
        self.loss_count += step[2]

    @torch.no_grad()
    def end_epoch(self, finished: int, max_epochs: int) -> Schedule:
        """Advance the schedule by the epoch's mean losses and give its new state.

        ``finished`` epochs ended, from 1. RuntimeError where no step of this one reported finite
        losses.
        """
        infrared, visible, count = [*self.loss_sums.tolist(), self.loss_count.item()]
        if count == 0:
            raise RuntimeError(
                f"CMSSMasking.end_epoch: no finite losses of epoch {finished}; call update_losses "
                "in each training step"
            )
        limit = cmss.largest_keep_shift(int(self.num_patches), self.mask_ratio)
        difference = (visible - infrared) / count
        self.schedule = cmss.advance_schedule(
            self.schedule, self.means.tolist(), difference, finished, max_epochs, limit
        )
        self.loss_sums.zero_()
        self.loss_count.zero_()
        return self.schedule

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._keep_shift = int(self.keep_shift)
