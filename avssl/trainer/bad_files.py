"""Bad files that a training skips, and how many are too many."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.errors import UserError
from avssl.media.skip_bad_files import PassedOver, log_bad_file
from avssl.system.console import counted, log

# What --on-bad-file skip tolerates, as a share of the files and of the puzzles drawn.
BAD_SHARE = 0.1
# This many are tolerated in any case.
FEW_BAD = 10


class BadFiles:
    """The bad files of a training.

    Args:
        files: how many there are to train on, bad or not.
    """

    def __init__(self, files: int) -> None:
        self._files = files
        self._paths: set[str] = set()

    def add(self, some: Sequence[PassedOver], skipped: int, drawn: int) -> None:
        """Log bad files that were just skipped.

        Args:
            skipped: puzzles that were skipped so far, since the run began; these among them.
            drawn: puzzles drawn so far.

        Raises:
            UserError: they are too many, by files and by puzzles: one file that is drawn often is no bad collection.
        """
        for bad in some:
            self._paths.add(bad.path)
            log_bad_file(f"skipped, here and wherever it is drawn again: {bad}", bad.path)
        few = len(self._paths) <= max(FEW_BAD, BAD_SHARE * self._files)
        if not few and skipped > max(FEW_BAD, BAD_SHARE * drawn):
            raise UserError(
                f"{counted(len(self._paths), 'file')} could not be read in drawing {counted(drawn, 'puzzle')}; "
                "`avssl index` lists what is wrong with each file"
            )

    def log_all(self, skipped: int) -> None:
        """A line on how many there were, if any; ``skipped`` as of :meth:`add`."""
        if self._paths:
            log(
                f"skipped {counted(len(self._paths), 'bad file')} in {counted(skipped, 'draw')}, each replaced by "
                "another; `avssl index` lists what is wrong with each file"
            )
