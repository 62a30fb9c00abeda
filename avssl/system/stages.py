"""Progress of work whose parts are unlike: the time left comes from how long each usually takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from avssl.system.console import Bar, ShowProgress, duration, is_shown


@contextmanager
def stages(what: str, seconds: Mapping[str, float], shown: ShowProgress = None) -> Iterator[Callable[[str], None]]:
    """A function to call with the name of each part as it begins: "exporting: comparing (3 of 4), 2.0 s left".

    Args:
        what: is being done ("exporting").
        seconds: that each part usually takes, in the order of the parts; one may be left out when its turn comes.
        shown: how; a function is called with (parts that are done, all parts).
    """
    if callable(shown):
        names = list(seconds)
        yield lambda name: shown(names.index(name), len(names))
        shown(len(names), len(names))
        return
    pace = _Pace(what, seconds)
    bar = Bar("auto" if is_shown(shown) else "none", first=what, now=pace.now)

    def begin(name: str) -> None:
        pace.begin(name)
        bar.update(*pace.now_as_shown())

    try:
        yield begin
    finally:
        bar.close()


class _Pace:
    """Where such work stands.

    Parts to come are expected to take as much longer than usual as those before them took.
    """

    def __init__(self, what: str, seconds: Mapping[str, float]) -> None:
        self._what, self._seconds, self._names = what, seconds, list(seconds)
        self._began = self._part_began = time.monotonic()
        self._part = -1

    def begin(self, name: str) -> None:
        self._part, self._part_began = self._names.index(name), time.monotonic()

    def now(self) -> tuple[float, str]:
        """The share that is done, 0 to 1, and what to show."""
        if self._part < 0:
            return 0.0, self._what
        now = time.monotonic()
        usual = [self._seconds[name] for name in self._names]
        before, own, after = sum(usual[: self._part]), usual[self._part], sum(usual[self._part + 1 :])
        pace = (self._part_began - self._began) / before if before else 1.0
        left = max(pace * own - (now - self._part_began), 0.0) + pace * after
        part = f"{self._what}: {self._names[self._part]} ({self._part + 1} of {len(self._names)})"
        share = (now - self._began) / max(now - self._began + left, 1e-9)
        return share, f"{part}, {duration(left)} left" if left else part

    def now_as_shown(self) -> tuple[float, Callable[[], str]]:
        share, text = self.now()
        return min(share, 0.999), lambda: text  # 1 would be drawn at once, as the end is
