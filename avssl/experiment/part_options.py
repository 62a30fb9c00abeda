"""``--part``, ``--merge`` and ``--engine``: one job on several machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from avssl.errors import UserError
from avssl.options import option
from avssl.system.console import ShowProgress, counted, log
from avssl.system.engines import check_engine, run_parts
from avssl.system.parts import Divisible, Part

R = TypeVar("R")

# They say how the work was shared: the result is the same without them.
_OPTIONS = ("--part", "--merge", "--no-merge", "--engine")


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """How a work is shared between machines that see the same disk."""

    part: str | None = option(
        None, "do only part K of N, as one task of a job array; --merge afterwards", metavar="K/N"
    )
    merge: bool = option(False, "merge what was done with --part, once all parts are there")
    engine: str = option("local", "local; ray (at RAY_ADDRESS, else this machine as a cluster); or ray://HOST:PORT")

    def check(self) -> None:
        """Raise :class:`UserError` for options that contradict each other."""
        check_engine(self.engine)
        if self.part is not None:
            Part.parsed(self.part)
            if self.merge or self.engine != "local":
                raise UserError(f"--part {self.part} is done here and merged later: leave out --merge and --engine")
        if self.merge and self.engine != "local":
            raise UserError("--merge puts together what --part has done; --engine does parts and merges them itself")

    def carry_out(
        self, work: Divisible, merged: Callable[[], R], workers: int | None = None, progress: ShowProgress = None
    ) -> R | None:
        """Do what is asked: a part (None is returned), the merging, or both on an engine.

        Raises:
            UserError: as the work does.
        """
        if self.part is not None:  # merged later, by a command of its own, when all parts are there
            part = Part.parsed(self.part)
            work.do(part, workers, progress)
            log(f"part {part} is done; of the whole {work.units_there()} of {counted(work.units, work.unit)} are there")
            return None
        if not self.merge:
            run_parts(work, self.engine, workers, progress)
        return merged()


def without_parts(argv: Sequence[str]) -> list[str]:
    """The command that does the same on one machine: what results name as theirs."""
    words, kept = iter(argv), []
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in _OPTIONS:
            kept.append(word)
        elif name in ("--part", "--engine") and not equals:
            next(words, None)
    return kept
