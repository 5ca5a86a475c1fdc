"""What every room of the package calls alike."""

#: The images of an aligned pair, in this order wherever there are two.
MODALITIES = ("infrared", "visible")
#: Label of pixels that count neither in a loss nor in a metric, as everywhere in mmseg.
IGNORE_INDEX = 255
