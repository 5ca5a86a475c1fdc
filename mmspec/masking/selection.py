"""From the images of a batch to the patches that are seen: a score and which of its ranks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .information import SCORES, projection
from .noise import NOISES
from .patch_mask import count_by_stride, select_by_rank

RANKS = ("first", "drawn", "all", "top")


@dataclass(frozen=True)
class InformationMasking:
    """Masking by the ranks of a score (InfMAE, section 4.1): images to numbers of visible patches.

    Args:
        score: 'intensity', 'variance', 'entropy' or 'deviation'; entropy counts gray levels 0..255,
            the ranks of the others are the same on any scale. Or noise that no image moves: 'white'
            (random masks) or 'green' (:func:`mmspec.masking.noise.green`).
        stride: one in how many patches is visible; 4 leaves a quarter.
        order: 'descending' (the paper) or 'ascending' (the released code).
        patch_size: pixels a side of a patch.
        ranks: which ranks are visible (see :func:`select_by_rank`). 'first': every ``stride``-th
            from the first (the paper); 'drawn': from one of the first ``stride``, drawn for each
            image; 'all': from each of them, which are ``stride`` masks of an image without a patch
            in common (complementary masks: FastConvMAE, of the authors of arXiv 2205.03892);
            'top': the first of all.
        temperature: at 0 the order of the scores decides. Above, Gumbel noise of this size moves
            scores in units of their standard deviation over the image, which draws the order
            (Plackett-Luce; Gumbel top-k, arXiv 1903.06059): 0.1 stirs neighbours, 10 is close to a
            random mask.

    Raises:
        ValueError: an unknown score, order or choice of ranks, a negative temperature, a stride
            or patch size that is no whole number from 1; when called, an image or a stride that
            does not fit.
    """

    score: str = "intensity"
    stride: int = 4
    order: str = "descending"
    patch_size: int = 16
    ranks: str = "first"
    temperature: float = 0.0

    def __post_init__(self) -> None:
        orders = ("descending", "ascending")
        options = dict(score=(*SCORES, *NOISES), order=orders, ranks=RANKS)
        for name, known in options.items():
            if (given := getattr(self, name)) not in known:
                raise ValueError(f"{name}={given!r}: {', '.join(known)}")
        for name in ("stride", "patch_size"):
            if not isinstance(given := getattr(self, name), int) or given < 1:
                raise ValueError(f"{name}={given!r}: a whole number from 1")
        if not self.temperature >= 0:
            raise ValueError(f"temperature={self.temperature}: 0 or more")

    def __call__(self, images: Tensor, kernel: Tensor | None = None) -> Tensor:
        """Give the visible patches of images (B, C, H, W): (B, V) int64, in order of their ranks.

        With ``ranks='all'`` (B, stride, V), a row a mask. A kernel (C, p, p) replaces the score:
        see :func:`projection`.
        """
        if kernel is None:
            scores = (SCORES | NOISES)[self.score](images, self.patch_size)
        else:
            scores = projection(images, kernel)
        descending = self.order == "descending"
        if self.temperature:
            noise = -torch.empty_like(scores).exponential_().log()
            scores = scores - scores.mean(1, keepdim=True)
            scale = scores.std(1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
            noise = noise if descending else -noise  # it moves patches towards the first ranks
            scores = scores / scale + self.temperature * noise
        if self.ranks == "top":
            keep = count_by_stride(scores.shape[1], self.stride)
            return select_by_rank(scores, 1, descending)[:, :keep]
        phases = None
        if self.ranks == "all":
            phases = torch.arange(self.stride, device=scores.device)
        elif self.ranks == "drawn":
            phases = torch.randint(self.stride, (len(scores), 1), device=scores.device)
        kept = select_by_rank(scores, self.stride, descending, phases)
        return kept[:, 0] if self.ranks == "drawn" else kept
