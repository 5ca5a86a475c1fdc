#!/usr/bin/env python
"""What a pre-training checkpoint reconstructs.

    python tools/visualization/reconstruct.py WORK_DIR/epoch_40.pth infrared.png rgb.png --out x.png
    python tools/visualization/reconstruct.py WORK_DIR/epoch_20.pth infrared.png --out x.png

Input, visible patches, prediction, and both put together. For M-SpecGene a row for each image of
the pair and a further column: infrared from RGB alone, and RGB from infrared alone.
"""

import numpy as np
from _checkpoint import write_picture

from mmspec.models.selfsup import InfMAE, MSpecGene
from mmspec.visualization.reconstruction import pair_reconstruction_sheet, reconstruction_sheet


def picture(model: InfMAE | MSpecGene, batch: dict) -> np.ndarray:
    data = model.data_preprocessor(batch, False)
    result = model.reconstruct(**data)
    if isinstance(model, MSpecGene):
        return pair_reconstruction_sheet(result, model.cross_reconstruct(data["inputs"]))
    return reconstruction_sheet(result)


if __name__ == "__main__":
    write_picture(__doc__, ["backbone.", "neck."], picture)
