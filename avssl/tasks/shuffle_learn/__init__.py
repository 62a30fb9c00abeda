"""Shuffle & Learn: are these three frames in temporal order? (Misra, Zitnick & Hebert, ECCV 2016)"""

from avssl.tasks.shuffle_learn.puzzle import ShuffleLearnOptions, ShuffleLearnPuzzle
from avssl.tasks.shuffle_learn.task import ShuffleLearn

__all__ = ["ShuffleLearn", "ShuffleLearnOptions", "ShuffleLearnPuzzle"]
