"""Jigsaw: which permutation shuffled the nine tiles? (Noroozi & Favaro 2016; at scale Goyal et al. 2019)"""

from avssl.tasks.jigsaw.puzzle import JigsawOptions, JigsawPuzzle
from avssl.tasks.jigsaw.task import Jigsaw

__all__ = ["Jigsaw", "JigsawOptions", "JigsawPuzzle"]
