"""Makes a world: every clip of every split, in parallel; what is there already stays."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.world.clip import make_clip
from avssl.world.files import write_bytes, write_video
from avssl.world.settings import SPLITS, Settings
from avssl.world.truth import truth_bytes

Progress = Callable[[int, int], None]
Name = tuple[str, int]

_PORTION = 16
"""Clips that a worker makes before it reports; fewer where there are few, so that all have work to the end."""

_STALE_SECONDS = 600.0


def build(out: Path, settings: Settings, workers: int | None = None, progress: Progress | None = None) -> None:
    """Write the world of ``settings`` to the folder ``out``; continue it if it was begun there before.

    Args:
        out: the folder: ``train/``, ``validation/``, ``test/`` with ``clip_00000.mp4`` and ``clip_00000.json`` …,
            and ``world.json`` with the settings.
        settings: what the world holds.
        workers: processes; by default one for each core; 0 or 1 makes everything in this process.
        progress: called with the clips done and the clips of the whole world.

    Raises:
        UserError: if ``out`` holds something else, or cannot be written to.
    """
    try:
        processes = (os.cpu_count() or 1) if workers is None else max(workers, 1)
        _build(out, settings, processes, progress or (lambda done, total: None))
    except OSError as error:
        raise UserError(f"{out}: the world cannot be written: {error.strerror or error}") from error


def is_finished(out: Path, settings: Settings) -> bool:
    """Whether ``out`` holds the whole world of ``settings``."""
    return _read(out / "world.json") == _description(settings, complete=True)


def clip_path(out: Path, split: str, index: int) -> Path:
    """Where a clip lies; its truth lies beside it with the suffix ``.json``."""
    return out / split / f"clip_{index:05d}.mp4"


def _build(out: Path, settings: Settings, workers: int, progress: Progress) -> None:
    _claim(out, settings)
    names = [(split, index) for split in SPLITS for index in range(settings.count(split))]
    missing = [name for name in names if not _is_made(out, name)]
    done = len(names) - len(missing)
    progress(done, len(names))
    portion = max(1, min(_PORTION, len(missing) // (4 * workers)))
    portions = [missing[start : start + portion] for start in range(0, len(missing), portion)]
    for made in _made(out, settings, portions, min(workers, len(portions))):
        done += made
        progress(done, len(names))
    write_bytes(out / "world.json", _as_bytes(_description(settings, complete=True)))


def _made(out: Path, settings: Settings, portions: list[list[Name]], workers: int) -> Iterator[int]:
    """Make all portions; yields the number of clips in each as it is finished."""
    if workers <= 1:
        for portion in portions:
            yield _make(out, settings, portion)
        return
    # Spawned, not forked: the caller may have threads of its own.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker) as pool:
        try:
            for future in as_completed([pool.submit(_make, out, settings, portion) for portion in portions]):
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                f"{out}: a worker process ended before its work was done (too little memory? a script that is not "
                'under `if __name__ == "__main__":`?); with workers=1 one process makes everything'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Interrupts are the parent's to answer; a parent that is killed takes its workers along, which would wait on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(out: Path, settings: Settings, names: list[Name]) -> int:
    for split, index in names:
        clip = make_clip(settings, split, index)
        path = clip_path(out, split, index)
        write_video(path, clip.frames, settings.fps, clip.samples, settings.rate)
        # Written last: a clip is made when its truth is there.
        write_bytes(path.with_suffix(".json"), truth_bytes(clip.truth))
    return len(names)


def _is_made(out: Path, name: Name) -> bool:
    path = clip_path(out, *name)
    return path.exists() and path.with_suffix(".json").exists()


def _claim(out: Path, settings: Settings) -> None:
    """Make the folders and write the settings, unless ``out`` belongs to something else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: a file; name a folder for the world")
    found = _read(out / "world.json")
    wanted = _description(settings, complete=False)
    if found is not None:
        different = [key for key in wanted if key != "complete" and found.get(key) != wanted[key]]
        if different:
            key = different[0]
            raise UserError(
                f"{out}: holds a world whose {key} is {found.get(key)!r}, not {wanted[key]!r}; "
                "choose another folder or delete this one"
            )
    elif out.exists() and any(not there.name.startswith(".") for there in out.iterdir()):
        raise UserError(f"{out}: not empty and not a generated world; choose another folder")
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        _sweep(out / split)
    if found is None:
        write_bytes(out / "world.json", _as_bytes(wanted))


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half written; a younger file may be another process's work."""
    for unfinished in folder.glob(".*.part"):
        if time.time() - unfinished.stat().st_mtime > _STALE_SECONDS:
            unfinished.unlink(missing_ok=True)


def _description(settings: Settings, complete: bool) -> dict[str, Any]:
    return {**settings.as_json(), "complete": complete}


def _as_bytes(description: dict[str, Any]) -> bytes:
    return json.dumps(description, indent=1, sort_keys=True).encode() + b"\n"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete the folder to make the world anew") from None
    return content if isinstance(content, dict) else {}
