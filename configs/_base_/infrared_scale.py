# How infrared images of more than 8 bits become gray levels, in training, tests and, as checkpoints
# keep it, in prediction: arguments of mmspec.thermal.scaling.Scaling. 8 bits stay as they are.
infrared_scale = dict(percentiles=(0.5, 99.5))
