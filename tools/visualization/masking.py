#!/usr/bin/env python
"""What a pre-training checkpoint masks.

    python tools/visualization/masking.py WORK_DIR/epoch_40.pth infrared.png rgb.png --out masks.png
    python tools/visualization/masking.py InfMAE.pth infrared.png --config CONFIG --out masks.png

M-SpecGene: CMSS over both images of a pair, from violet (structure in both) to yellow (flat), and
the patches that its mixture and schedule leave visible. InfMAE: the patches that its masking leaves
visible, beside those of every score and of a random mask.
"""

import numpy as np
from _checkpoint import write_picture

from mmspec.engine.launch import LaunchError
from mmspec.models.maskers import CMSSMasking
from mmspec.models.selfsup import InfMAE, MSpecGene
from mmspec.visualization.cmss import cmss_pictures, cmss_sheet
from mmspec.visualization.reconstruction import mask_sheet


def picture(model: InfMAE | MSpecGene, batch: dict) -> np.ndarray:
    data = model.data_preprocessor(batch, False)
    if isinstance(model, MSpecGene):
        if not isinstance(model.masker, CMSSMasking):
            raise LaunchError(f"the masker is a {type(model.masker).__name__}, not CMSSMasking")
        return cmss_sheet(cmss_pictures(model, data["inputs"]))
    mask = model.patch_mask(**data).first_of(len(data["inputs"]))
    stride = mask.num_patches // mask.num_visible
    gray = batch["inputs"][0][0].numpy()
    return mask_sheet([gray], stride, model.head.patch_size, {"this checkpoint": mask})


if __name__ == "__main__":
    write_picture(__doc__, ["backbone."], picture)
