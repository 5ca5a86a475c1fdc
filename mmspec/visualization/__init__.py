"""Pictures of masks, reconstructions, predictions and curves.

A picture is (H, W, 3) uint8 RGB. An image that is drawn is (H, W) gray levels, shown under a
display gain (see :mod:`~mmspec.visualization.panels`), or (H, W, 3) uint8 RGB, shown as it is; of a
pair ``infrared`` is the one and ``visible`` the other.
"""
