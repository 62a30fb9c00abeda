"""Messages for people: lines by the logger "avssl", and progress on stderr.

A program of one's own turns the lines off, or elsewhere, as it does with any library:
``logging.getLogger("avssl").setLevel("WARNING")``. Where nothing listens they are printed on stdout.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TextIO

from avssl.system.notebook import NotebookBar, in_notebook
from avssl.system.ranks import is_writer
from avssl.system.terminal_bar import TerminalBar

# Called with (done, total) while something long goes on.
Progress = Callable[[int, int], None]

# A function to call instead of showing it; False shows nothing; None or True a bar on a terminal and in a notebook,
# elsewhere a line every ten seconds.
ShowProgress = Progress | bool | None

# Takes a line for people.
Log = Callable[[str], None]

Style = Literal["auto", "bar", "lines", "none"]

LINE_EVERY_SECONDS, DRAW_EVERY_SECONDS = 10.0, 0.25

LOGGER = logging.getLogger("avssl")

_heading: ContextVar[str] = ContextVar("heading", default="")
_muted: ContextVar[bool] = ContextVar("muted", default=False)


def no_log(line: str) -> None:
    """Keeps silent: where a function takes a :data:`Log` and none is given."""


def log(text: str) -> None:
    """A line for the person who waits; of several processes only the first speaks."""
    if _silent():
        return
    if not LOGGER.hasHandlers():
        print_lines()
    if LOGGER.level == logging.NOTSET:  # else the root's level, WARNING, holds
        LOGGER.setLevel(logging.INFO)
    LOGGER.info(_heading.get() + text)


def _silent() -> bool:
    """Of several processes the first speaks, and none while :func:`quiet` holds."""
    return not is_writer() or _muted.get()


def print_lines() -> None:
    """Print the lines of :func:`log` on stdout, as the command line does."""
    if not any(isinstance(handler, _Stdout) for handler in LOGGER.handlers):
        LOGGER.addHandler(_Stdout())


@contextmanager
def headed(name: str) -> Iterator[None]:
    """Within, each line begins with what it is about ("rotation: …"); nothing for no name."""
    token = _heading.set(f"{name}: " if name else "")
    try:
        yield
    finally:
        _heading.reset(token)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, no lines: for work that is done again, aloud, later."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


# Control characters but for tabs and line feeds, those that turn the direction of writing, and what is not UTF-8.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with what would steer a terminal written out: names of files may hold ``\\x1b[2J``, which clears it."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def visible_name(name: str) -> str:
    """A name in one line; see :func:`visible`."""
    return visible(name).replace("\n", "\\n").replace("\t", "\\t")


class _Stdout(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # sys.stdout as it is now: notebooks and tests replace it
        print(fitted(record.getMessage(), sys.stdout), flush=True)


def fitted(text: str, file: TextIO) -> str:
    """The text for a file, :func:`visible`; on a terminal its lines are broken between words, indented as they began.

    Elsewhere it stays as it is, and a path or an address is never broken: they are found, and copied, whole.
    """
    text = visible(text)
    if not file.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(part for line in text.split("\n") for part in _broken(line, width))


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    # "  sheet.png   what it is": what follows a gap is a column.
    column = re.match(r" *(?:\S+ )*?\S+ {2,}(?=\S)|", line)
    hanging = column.end() if column and column.end() <= width // 2 else len(line) - len(line.lstrip())
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


class Bar:
    """Shows a share and a text, at no cost where nothing is due.

    Args:
        style: "auto" is a bar on a terminal and in a notebook, else lines.
        write_line: takes the lines; stderr if None.
        first: what a terminal shows until it is known how much is done.
        now: the share and the text, asked whenever a terminal is drawn; None: as they were given last.
    """

    def __init__(
        self,
        style: Style = "auto",
        write_line: Callable[[str], None] | None = None,
        first: str = "starting",
        now: Callable[[], tuple[float, str]] | None = None,
    ) -> None:
        self._write_line = write_line or _to_stderr
        self._bar: Any = None
        if style == "bar" or (style == "auto" and (in_notebook() or sys.stderr.isatty())):
            self._bar = NotebookBar() if in_notebook() else TerminalBar(first, now)
        self._every = DRAW_EVERY_SECONDS if self._bar else LINE_EVERY_SECONDS if style != "none" else float("inf")
        # A bar is there at once, a line only where the work turns out to be long.
        self._next = time.monotonic() + (0.0 if self._bar else self._every)

    def update(self, share: float, text: Callable[[], str], line: Callable[[], str] | None = None) -> None:
        """Show that ``share`` (0 to 1) is done, with what ``text`` says; as a line with what ``line`` says."""
        now = time.monotonic()
        if now < self._next and not (self._bar and share >= 1):
            return
        self._next = now + self._every
        if self._bar:
            self._bar.update(share, text())
        else:
            self._write_line((line or text)())

    def close(self) -> None:
        """Take it away."""
        if self._bar:
            self._bar.close()


def is_shown(shown: bool | None) -> bool:
    """Whether progress is shown: it was not turned off, and this process is the one that speaks."""
    return shown is not False and not _silent()


@contextmanager
def progress(what: str, unit: str = "file", shown: ShowProgress = None) -> Iterator[Progress]:
    """A function to call with (done, total), which shows them with the time left.

    Args:
        what: is being done ("preparing").
        unit: of what, in the singular; "%" shows the share alone.
        shown: how.
    """
    if callable(shown):
        yield shown
        return
    counts = _Counts(what, unit)
    bar = Bar("auto" if is_shown(shown) else "none", first=what, now=counts.now)

    def update(done: int, total: int) -> None:
        counts.know(done, total)
        bar.update(done / max(total, 1), lambda: counts.now()[1])

    try:
        yield update
    finally:
        bar.close()


class _Counts:
    """How much is done, and what is left at the pace until then: it runs down until more is done."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit, self._began = what, unit, time.monotonic()
        self._done, self._total = 0, 0
        self._at: float | None = None  # when that was first asked for

    def know(self, done: int, total: int) -> None:
        """So much is done now."""
        self._done, self._total, self._at = done, total, None

    def now(self) -> tuple[float, str]:
        """The share that is done, 0 to 1, and what to show."""
        if not self._total:
            return 0.0, self._what
        now = time.monotonic()
        self._at = self._at or now
        passed, rest = self._at - self._began, self._total - self._done
        left = passed / self._done * rest - (now - self._at) if self._done else 0.0
        if left <= 0 < rest and self._done:  # it takes longer than before: as if this much were done only now
            left = (now - self._began) / self._done * rest
        share = self._done / self._total
        text = f"{100 * share:.0f} %" if self._unit == "%" else f"{self._done} of {counted(self._total, self._unit)}"
        return share, f"{self._what}: {text}" + (f", {duration(left)} left" if left > 0 else "")


@contextmanager
def counting(what: str, total: int, unit: str = "file", shown: ShowProgress = None) -> Iterator[Callable[[int], None]]:
    """:func:`progress` for whoever does not count: a function to call with how many more are done."""
    done = 0
    with progress(what, unit, shown) as on_progress:

        def step(count: int = 1) -> None:
            nonlocal done
            done += count
            on_progress(done, total)

        yield step


def counted(count: int, noun: str) -> str:
    """A count with its noun, which is given in the singular: "1 clip", "12 clips", "3 boxes", "2 people"."""
    return f"{count} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun == "person":
        return "people"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def size(count: int) -> str:
    """Bytes for people: "3.2 MB"."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds for people: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; 0 if there is none."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a training in progress replaces its files
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
