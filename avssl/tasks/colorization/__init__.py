"""Colorization: which colours does this grey picture have? (Zhang, Isola & Efros, 2016; regression as its baseline.)"""

from avssl.tasks.colorization.puzzle import ColorizationOptions, ColorizationPuzzle
from avssl.tasks.colorization.task import Colorization

__all__ = ["Colorization", "ColorizationOptions", "ColorizationPuzzle"]
