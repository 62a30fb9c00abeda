"""Fetching the clips of a published list: state, table and counts of what came of it."""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.media.fetching.download import Downloader, Outcome
from avssl.media.fetching.lists import Clip, read_list, with_labels
from avssl.media.fetching.pace import HostRefuses
from avssl.options import argument, option
from avssl.system.console import ShowProgress, counted, log, progress, size
from avssl.system.files import make_folder, remove_unfinished, take_lock, whole_file, write_json, writing

# Names within the folder; scripts read the last two.
CLIPS, LOG, DEAD, TABLE = "clips", "fetched.jsonl", "dead.csv", "clips.csv"
SHOWN_REFUSALS = 3


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Which clips, where to, and how they are asked for."""

    list: str = argument("the list as published: VGGSound, AudioSet, Kinetics, AVE, Flickr-SoundNet, or a table of ids")
    out: str = argument("folder for the clips and their table; given again, fetching continues")
    size: int = option(360, "pixels of the shorter side, at most", low=16, high=4320)
    seconds: float | None = option(None, "seconds of each clip (default: as the list says)", above=0)
    labels: tuple[str, ...] = option(
        (), "only clips with these labels; kinetics-sounds and kinetics-sounds-32 name 31 and 32 of them"
    )
    limit: int | None = option(None, "only the first N clips", low=1)
    starts: tuple[str, ...] = option((), "AudioSet's lists, which say where AVE's clips begin", metavar="CSV,…")
    parallel: int = option(2, "clips at a time", low=1, high=32)
    sleep: float = option(5.0, "seconds between two starts at one host, give or take half", low=0)
    retries: int = option(3, "retries after a failure that may be temporary", low=0, high=20)
    cookies: str | None = option(None, "file of cookies, as exported by a browser", metavar="FILE")
    address: str | None = option(
        None, "where videos lie, with {id} for the id (default: YouTube, or Flickr)", metavar="URL"
    )
    again: bool = option(False, "also retry clips that were dead the last time")
    json: str | None = option(None, "also write the counts to this file", metavar="FILE")


@dataclass(frozen=True)
class Fetched:
    """What is there, by clips.

    Attributes:
        clips: of the list, with what was asked of it.
        new: fetched this time.
        there: all that are there now.
        dead: by kind: "gone", "private", "age", "region".
        failed: reasons of those that the same command tries again.
        table: a CSV that ``--data`` takes; None where no clip is there.
    """

    clips: int
    new: int
    there: int
    dead: dict[str, int]
    failed: dict[str, int]
    table: Path | None
    bytes: int

    def line(self) -> str:
        """In a line."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.dead.items())
        parts = [f"{self.there} of {counted(self.clips, 'clip')} there ({self.new} new, {size(self.bytes)})"]
        if self.dead:
            parts.append(f"{sum(self.dead.values())} dead ({kinds}; in {DEAD})")
        if left := self.clips - self.there - sum(self.dead.values()):
            parts.append(f"{left} to try again")
        return ", ".join(parts)


def fetch(options: FetchOptions, show_progress: ShowProgress = None) -> Fetched:
    """Fetch what is not there yet; killed or stopped, the same call goes on.

    Raises:
        UserError: the list cannot be read, the folder is in use, a host refuses everything, no clip could be fetched,
            or some failed that may go well another time.
    """
    clips = _clips(options)
    out = Path(options.out)
    with _only_one(out):
        remove_unfinished(out / CLIPS)  # of a process that was killed: nobody else writes here
        with _Log(out / LOG) as state:
            stop = threading.Event()
            cookies = Path(options.cookies) if options.cookies else None
            downloader = Downloader(out / CLIPS, options.size, options.sleep, options.retries, cookies, stop)
            # By the files, not by the log: somebody may have removed some, or brought them from elsewhere.
            there = {clip.stem for clip in clips if _file(out, clip).is_file()}
            dead = set() if options.again else state.dead.keys()
            left = [clip for clip in clips if clip.stem not in there and clip.stem not in dead]
            log(f"{counted(len(clips), 'clip')}: {len(there)} there, {len(left)} to fetch")
            try:
                _fetch_all(left, downloader, state, stop, options.parallel, show_progress)
            finally:  # also after Ctrl-C: what is there can be used
                done = _write_what_is_there(clips, out, state)
                if options.json is not None:
                    write_json(Path(options.json), _as_json(done, options))
    log(done.line())
    if not done.there:
        why = "; ".join(state.last_reasons(SHOWN_REFUSALS))
        raise UserError(f"none of {counted(done.clips, 'clip')} could be fetched ({why})")
    log(f"to use them: --data {done.table}")
    # The status tells a script that the same command would get more.
    if done.failed:
        reason, count = max(done.failed.items(), key=lambda each: each[1])
        raise UserError(
            f"{counted(sum(done.failed.values()), 'clip')} failed that may go well another time ({count}: {reason}); "
            "run the same command again"
        )
    return done


def _clips(options: FetchOptions) -> list[Clip]:
    if options.address is not None and ("{id}" not in options.address or "://" not in options.address):
        raise UserError(f"--address {options.address}: give an address with {{id}} in it, as https://host/{{id}}.mp4")
    if options.cookies is not None and not Path(options.cookies).is_file():
        raise UserError(f"{options.cookies}: there is no such file of cookies")
    # Labels before the limit: --limit 100 is a hundred of those that are wanted.
    clips, refused = read_list(Path(options.list), [Path(each) for each in options.starts])
    for line in refused[:SHOWN_REFUSALS]:
        log(line)
    if len(refused) > SHOWN_REFUSALS:
        log(f"… and {counted(len(refused) - SHOWN_REFUSALS, 'row')} more that name no clip")
    if options.labels:
        clips = with_labels(clips, options.labels)
        if not clips:
            raise UserError(f"{options.list}: has no clip of --labels {','.join(options.labels)}")
    changes: dict[str, Any] = {"address": options.address} if options.address else {}
    changes |= {"seconds": options.seconds} if options.seconds is not None else {}
    return [replace(clip, **changes) for clip in clips[: options.limit]]


@contextmanager
def _only_one(out: Path) -> Iterator[None]:
    with writing(out):
        make_folder(out / CLIPS)
        release = take_lock(out / ".lock")
    if release is None:
        raise UserError(f"{out}: another process fetches into this folder; wait for it, or give another folder")
    try:
        yield
    finally:
        release()


def _fetch_all(
    clips: Sequence[Clip],
    downloader: Downloader,
    state: _Log,
    stop: threading.Event,
    parallel: int,
    show_progress: ShowProgress,
) -> None:
    """Fetch clips in their order; however it ends, no thread goes on after it."""
    rest = iter(clips)
    running: dict[Future[Outcome], Clip] = {}
    with ThreadPoolExecutor(parallel) as pool, progress("fetching", "clip", show_progress) as on_progress:
        try:
            done = 0
            while True:
                # No more than can run: what is submitted cannot be called back when all is to end.
                for clip in islice(rest, parallel - len(running)):
                    running[pool.submit(downloader.fetch, clip)] = clip
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    state.add(running.pop(future), future.result())
                    done += 1
                    on_progress(done, len(clips))
        except HostRefuses:  # whatever it has said last is no verdict on a video
            state.take_back_forbidden()
            raise
        finally:
            stop.set()
            for future, clip in running.items():
                # What was whole already when all was to end.
                if future.exception() is None:
                    state.add(clip, future.result())


class _Log:
    """What became of each clip, a line each; of several lines about one the last holds.

    Lines are appended, so that a killed process loses at most its last one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.dead: dict[str, dict[str, Any]] = {}
        self.new: list[Outcome] = []
        self.failed: list[Outcome] = []
        self._forbidden: list[Clip] = []
        self._reasons: list[str] = []
        torn = False  # whether the last line was cut off by a kill: the next must not continue it
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                self._know(_parsed(line))
        with writing(path):
            self._file = path.open("a", encoding="utf-8")
            if torn:
                self._file.write("\n")

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, clip: Clip, outcome: Outcome) -> None:
        """Write down what became of a clip."""
        self._write(clip, outcome.state, outcome.kind, outcome.reason, outcome.seconds, outcome.bytes)
        if outcome.state == "fetched":
            self.new.append(outcome)
        else:
            self._reasons.append(f"{clip.video}: {outcome.reason}")
        if outcome.state == "failed":
            self.failed.append(outcome)
        # A host that has had enough answers 403 to all: those in a row are no verdict if it comes to that.
        self._forbidden = [*self._forbidden, clip] if outcome.forbidden else []

    def take_back_forbidden(self) -> None:
        """Those that were forbidden without a good answer since are to be tried again."""
        for clip in self._forbidden:
            self._write(clip, "open", "refused", "the host refused everything")

    def last_reasons(self, count: int) -> list[str]:
        """Why clips are not there: the last of this time, or of the times before."""
        return (self._reasons or [f"{stem}: {line.get('reason')}" for stem, line in self.dead.items()])[-count:]

    def _write(self, clip: Clip, state: str, kind: str, reason: str, seconds: float = 0.0, count: int = 0) -> None:
        line: dict[str, Any] = {"clip": clip.stem, "state": state, "kind": kind, "reason": reason}
        line |= {"seconds": round(seconds, 3), "bytes": count} if state == "fetched" else {}
        with writing(self._path):
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        self._know(line)

    def _know(self, line: dict[str, Any]) -> None:
        if line.get("state") == "dead":
            self.dead[str(line.get("clip"))] = line
        else:
            self.dead.pop(str(line.get("clip")), None)


def _parsed(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:  # cut short by a kill
        return {}
    return value if isinstance(value, dict) else {}


def _file(out: Path, clip: Clip) -> Path:
    return out / CLIPS / f"{clip.stem}.mp4"


def _write_what_is_there(clips: Sequence[Clip], out: Path, state: _Log) -> Fetched:
    there = [clip for clip in clips if _file(out, clip).is_file()]
    dead = [(clip, state.dead[clip.stem]) for clip in clips if clip.stem in state.dead]
    # The source is the video: clips of one are never split between training and test.
    rows = [(f"{CLIPS}/{clip.stem}.mp4", clip.label, clip.split, clip.video) for clip in there]
    if rows:
        _write_csv(out / TABLE, ("path", "label", "split", "source"), rows)
    _write_csv(
        out / DEAD,
        ("id", "start", "label", "kind", "reason", "address"),
        [
            (
                clip.video, "" if clip.start is None else f"{clip.start:g}", clip.label, str(line.get("kind", "")),
                str(line.get("reason", "")), clip.address.replace("{id}", clip.video),
            )
            for clip, line in dead
        ],
    )  # fmt: skip
    kinds = Counter(str(line.get("kind", "")) for _, line in dead)
    failed = Counter(outcome.reason for outcome in state.failed)
    written = sum(outcome.bytes for outcome in state.new)
    table = out / TABLE if rows else None
    return Fetched(len(clips), len(state.new), len(there), dict(kinds), dict(failed), table, written)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with whole_file(path, "w") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _as_json(done: Fetched, options: FetchOptions) -> dict[str, Any]:
    return {
        "list": options.list,
        "clips": done.clips,
        "there": done.there,
        "new": done.new,
        "dead": done.dead,
        "failed": done.failed,
        "bytes": done.bytes,
        "table": None if done.table is None else str(done.table),
    }
