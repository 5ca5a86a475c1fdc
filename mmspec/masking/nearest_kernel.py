"""The choice of CMSS masking as one kernel of a GPU, which holds an image's scores in registers."""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _choose(scores, targets, chosen, patches, visible, SIZE: tl.constexpr):
    image = tl.program_id(0).to(tl.int64)
    places = tl.arange(0, SIZE)
    inside = places < patches
    free = tl.load(scores + image * patches + places, mask=inside, other=float("inf"))
    for i in range(visible):
        target = tl.load(targets + image * visible + i)
        nearest = tl.argmin(tl.abs(free - target), axis=0)
        tl.store(chosen + image * visible + i, nearest.to(tl.int64))
        free = tl.where(places == nearest, float("inf"), free)


def choose_nearest_at_once(scores: Tensor, targets: Tensor) -> Tensor:
    """:func:`mmspec.masking.choose_nearest` of finite float32 scores (B, L), targets (B, V)."""
    batch, patches = scores.shape
    visible = targets.shape[1]
    chosen = torch.empty(batch, visible, dtype=torch.int64, device=scores.device)
    size = triton.next_power_of_2(patches)
    # One warp: the search for the nearest then stays in registers.
    arguments = (scores.contiguous(), targets.contiguous(), chosen, patches, visible)
    _choose[(batch,)](*arguments, SIZE=size, num_warps=1 if size <= 1024 else 4)
    return chosen
