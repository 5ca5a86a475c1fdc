"""What a thermal camera does to a scene. Knows NumPy and OpenCV alone."""
