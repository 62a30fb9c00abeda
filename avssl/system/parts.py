"""Jobs in parts: a job array or a cluster runs them part by part, with the same result as one machine.

A part is a contiguous range of the work's units (files, shards, items). It may be done anywhere and any number of
times, as what it leaves behind appears whole or not at all; parts know nothing of each other. Merging checks that all
are there. Engines only run parts: one process is part 1 of 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

from avssl.errors import UserError
from avssl.system.console import ShowProgress

_SHOWN = 5


class Part(NamedTuple):
    """Part ``number`` (from 1 on) of ``of``."""

    number: int
    of: int

    @staticmethod
    def parsed(text: str) -> Part:
        """What ``--part 3/8`` means; UserError if it is no such thing."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        part = Part(int(found[1]), int(found[2])) if found else None
        if part is None or not 1 <= part.number <= part.of:
            raise UserError(f"--part {text}: give K/N with K from 1 to N, such as 3/8")
        return part

    @property
    def name(self) -> str:
        """As a file or folder of this part is called."""
        return f"{self.number:06d}-of-{self.of:06d}"

    def range(self, units: int) -> range:
        """Which of so many units are this part's."""
        # Contiguous, all of them together everything once, and no part larger than another by more than one.
        return range(units * (self.number - 1) // self.of, units * self.number // self.of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Part(1, 1)


def parts_of(count: int) -> list[Part]:
    """All parts of a division."""
    return [Part(number, count) for number in range(1, count + 1)]


def parts_there(paths: Iterable[Path], what: str) -> list[Path]:
    """Of files or folders of parts those of one division that is complete, in order.

    Raises:
        UserError: there is none; names what is missing.
    """
    there: dict[int, dict[int, Path]] = {}
    for path in paths:
        if found := re.fullmatch(r"(\d{6})-of-(\d{6})", path.stem):
            there.setdefault(int(found[2]), {})[int(found[1])] = path
    if not there:
        raise UserError(f"{what}: no part of it is there; run each with --part K/N, then --merge")
    for of, found_parts in there.items():
        if len(found_parts) == of:
            return [found_parts[number] for number in sorted(found_parts)]
    # Of several divisions the one that is nearest to complete: others are remains of earlier attempts.
    of = max(there, key=lambda of: len(there[of]) / of)
    missing = [str(part) for part in parts_of(of) if part.number not in there[of]]
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    listed = ", ".join(missing[:_SHOWN])
    raise UserError(f"{what}: parts are missing: {listed}{more}; run each with --part, then --merge")


class Divisible(Protocol):
    """Work that can be done in parts. It can be pickled, and every part of it may run on another machine."""

    unit: ClassVar[str]  # what a unit is called, in the singular: "shard"

    @property
    def units(self) -> int:
        """How many units there are: more parts than these would have nothing to do."""
        ...

    def units_there(self) -> int:
        """About how many of them are done, by whichever part on whichever machine."""
        ...

    def do(self, part: Part, workers: int | None, progress: ShowProgress) -> None:
        """Do a part, unless it is done.

        Args:
            part: which.
            workers: processes; None takes the cores there are.
            progress: as in ``avssl.open``.

        Raises:
            UserError: what a user can mend.
        """
        ...
