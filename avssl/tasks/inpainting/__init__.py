"""Inpainting: what was in the hole? (Context encoders, Pathak et al. 2016.)"""

from avssl.tasks.inpainting.puzzle import InpaintingOptions, InpaintingPuzzle
from avssl.tasks.inpainting.task import Inpainting

__all__ = ["Inpainting", "InpaintingOptions", "InpaintingPuzzle"]
