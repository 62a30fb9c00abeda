"""What an audit finds: figures with interval, chance and verdict; all of them as text, JSON values or a page."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from avssl.media.indexing.summary import Summary
from avssl.media.sources import Sources

# "ok": at chance. "leak": above it, so that a network can score without learning what it should. "warning": a person
# should look. "too few": the data do not hold enough to decide. Of a leak that the audit planted itself: "caught" by
# the control, or the control is "blind" to it on these data.
Verdict = Literal["ok", "leak", "warning", "too few", "caught", "blind"]

Section = Literal["parts", "cues", "shortcuts", "planted"]


@dataclass(frozen=True)
class Finding:
    """One line of the audit.

    Attributes:
        name: what was asked.
        value, low, high: a share in 0..1 and its interval; a count that is exact has all three the same.
        chance: what knowing nothing gives.
        section: which part of the page it stands in.
        n: how many items, puzzles or sources the share is of.
        note: one line for people; with examples where there are some.
        unguarded: of a shortcut, (value, low, high) without its countermeasure.
    """

    name: str
    value: float
    low: float
    high: float
    chance: float
    verdict: Verdict
    section: Section
    n: int
    note: str = ""
    unguarded: tuple[float, float, float] | None = None

    @classmethod
    def counted(cls, name: str, share: float, verdict: Verdict, section: Section, n: int, note: str) -> Finding:
        """A share that was counted, not sampled: exact, and by chance there would be none."""
        return cls(name, share, share, share, 0.0, verdict, section, n, note)

    def as_json(self) -> dict[str, Any]:
        """As JSON values; NaN is null."""
        found = asdict(self)
        for name in ("value", "low", "high"):
            if math.isnan(found[name]):
                found[name] = None
        return found


@dataclass(frozen=True)
class Findings:
    """All that an audit found.

    Attributes:
        items: usable items of the data.
        sources: how many different sources they were cut from.
        duplicates: items whose file is, byte for byte, that of an item before.
        leaks: every question asked, with figure, interval, chance and verdict; not only those that leak.
        planted: what each control makes of a leak planted for it.
        identity: how well each cheap cue distinguishes a source from others, where sources have several clips.
        data, test, task: what was asked.
        summary: of the data.
        found: the sources, with their evidence. With ``test``, its items come after those of the data.
        division: in words, what is tested on; empty if nothing can be held out.
        makes: kinds of files (container, codecs, size, rates) by how many items have them, of those measured.
        notes: what was not asked, or asked of less, and why.
        seed: of all samples and probes.
        seconds: that it took.
    """

    items: int
    sources: int
    duplicates: int
    leaks: tuple[Finding, ...]
    planted: tuple[Finding, ...]
    identity: tuple[Finding, ...]
    data: str
    test: str | None
    task: str | None
    summary: Summary
    found: Sources
    division: str
    makes: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    seed: int
    seconds: float


# An interval that holds chance and reaches further above it than this share of what is above decides little.
ROOM = 0.3


def verdict_of(low: float, high: float, chance: float) -> Verdict:
    """ "leak": the interval lies above chance. "ok": it holds chance. "too few": it holds chance, and much else."""
    if low > chance:
        return "leak"
    return "ok" if high <= chance + ROOM * (1 - chance) else "too few"


def widened(value: float, low: float, high: float, asked: int) -> tuple[float, float]:
    """A 95 % interval, widened so that ``asked`` of its kind are 95 % together (Bonferroni, normal)."""
    from scipy.special import ndtri  # as scipy.stats computes it, which takes a second to import

    factor = float(ndtri(1 - 0.025 / max(asked, 1)) / ndtri(0.975))
    return max(value - (value - low) * factor, 0.0), min(value + (high - value) * factor, 1.0)


def per_cent(share: float) -> str:
    """ "61 %"; "–" where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def chance_text(share: float) -> str:
    """ "12.5 %": chance is known exactly."""
    return f"{100 * share:.3g} %"


def figure(value: float, low: float, high: float) -> str:
    """ "61 % (51–71)"; without the bracket where the figure is exact."""
    if low == high or math.isnan(value):
        return per_cent(value)
    return f"{per_cent(value)} ({100 * low:.0f}–{100 * high:.0f})"
