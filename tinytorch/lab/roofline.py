"""The roofline: what this machine allows a kernel, and what the kernel reaches.

The folder `rooflines` has its parts: the model and the drawing.
"""

from tinytorch.lab.rooflines.drawing import plot
from tinytorch.lab.rooflines.model import Point, Roof, level_of, predicted, roof, table

__all__ = ["Point", "Roof", "level_of", "plot", "predicted", "roof", "table"]
