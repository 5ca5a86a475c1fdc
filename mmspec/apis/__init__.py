"""Using what was trained: prediction on images, arrays, recordings and pairs."""

from .exported_model import ExportedModel
from .frames import Frame, InputError, Inputs
from .inferencers import DetInferencer, SegInferencer
from .predictor import Prediction, Predictor
from .results import ResultFolder
from .tasks import TASKS, Task, TaskError

__all__ = [
    "TASKS",
    "DetInferencer",
    "ExportedModel",
    "Frame",
    "InputError",
    "Inputs",
    "Prediction",
    "Predictor",
    "ResultFolder",
    "SegInferencer",
    "Task",
    "TaskError",
]
