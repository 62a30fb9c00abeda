"""Relative position: where does the second patch lie, seen from the first? (Doersch, Gupta & Efros 2015)"""

from avssl.tasks.relative_position.puzzle import RelativePositionOptions, RelativePositionPuzzle
from avssl.tasks.relative_position.task import RelativePosition

__all__ = ["RelativePosition", "RelativePositionOptions", "RelativePositionPuzzle"]
