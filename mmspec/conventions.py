"""What every room of the package calls alike."""

#: The images of an aligned pair, in this order wherever there are two.
MODALITIES = ("infrared", "visible")
#: Of a pair's six normalised channels.
PAIR_CHANNELS = dict(zip(MODALITIES, (slice(0, 3), slice(3, 6))))
#: Label of pixels that count neither in a loss nor in a metric, as everywhere in mmseg.
IGNORE_INDEX = 255
