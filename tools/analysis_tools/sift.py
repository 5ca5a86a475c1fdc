"""The baseline without learning."""

import cv2
import numpy as np

from mmspec.matching.dense import Matches

#: Distance to the nearest descriptor over that to the second; above, a match is dropped (Lowe,
#: IJCV 2004, section 7.1).
RATIO = 0.8


def match_sift(infrared: np.ndarray, visible: np.ndarray, ratio: float = RATIO) -> Matches:
    """SIFT's nearest neighbours that pass the ratio test.

    Args:
        infrared, visible: (H, W) or (H, W, 3) RGB, uint8.
        ratio: most distance to the nearest descriptor over that to the second.
    """
    sift = cv2.SIFT_create()
    found = []
    for image in (infrared, visible):
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found.append(sift.detectAndCompute(gray, None))
    (first, descriptors), (second, others) = found
    kept = []
    if len(first) and len(second) > 1:
        nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, others, k=2)
        kept = [one for one, two in nearest if one.distance < ratio * two.distance]
    return Matches(
        np.array([first[m.queryIdx].pt for m in kept], np.float64).reshape(-1, 2),
        np.array([second[m.trainIdx].pt for m in kept], np.float64).reshape(-1, 2),
        np.array([-m.distance for m in kept], np.float64),
    )
