"""Rotation: by how many quarters was this picture turned? RotNet (Gidaris, Singh & Komodakis 2018)."""

from avssl.tasks.rotation.puzzle import RotationOptions, RotationPuzzle
from avssl.tasks.rotation.task import Rotation

__all__ = ["Rotation", "RotationOptions", "RotationPuzzle"]
