"""Generating a world: every clip of every split, in parallel; existing clips are kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.options import build
from avssl.system.console import Progress
from avssl.system.files import remove_unfinished, write_json, write_whole
from avssl.system.process_pool import Lost, each, progressed, spare_cores
from avssl.world.clip import make_clip
from avssl.world.mp4 import write_video
from avssl.world.settings import DESCRIPTION, SPLITS, Settings, occurring, read_description
from avssl.world.truth import truth_bytes

Name = tuple[str, int]

_CHUNK = 16  # clips of a job; fewer in small worlds, so that all workers are busy to the end
_STALE_SECONDS = 600.0  # a younger unfinished file may be the work of another process


def generate(
    out: Path,
    settings: Settings | None = None,
    *,
    workers: int | None = None,
    on_progress: Progress | None = None,
    **options: Any,
) -> None:
    """Generate a world in the folder ``out``, or continue one that was begun there with the same settings.

    Args:
        out: gets ``train/``, ``validation/`` and ``test/`` with ``clip_00000.mp4`` and its ground truth
            ``clip_00000.json`` …, and ``world.json`` with all settings.
        workers: processes, by default one for each core; 0 or 1 work in this one.
        on_progress: called with the clips done and the clips of the whole world.
        options: fields of :class:`Settings`, if ``settings`` are not given.

    Raises:
        UserError: for invalid settings, or a folder that holds something else.
    """
    out, settings = Path(out), settings or build(Settings, options)
    try:
        processes = spare_cores() if workers is None else max(workers, 1)
        _generate(out, settings, processes, on_progress or (lambda done, total: None))
    except OSError as error:
        raise UserError(f"{out}: the world cannot be written: {error.strerror or error}") from error


def clip_path(out: Path, split: str, index: int) -> Path:
    """Path of a clip; its ground truth has the suffix ``.json``."""
    return out / split / f"clip_{index:05d}.mp4"


def _generate(out: Path, settings: Settings, workers: int, on_progress: Progress) -> None:
    _claim(out, settings)
    names = [(split, index) for split in SPLITS for index in range(settings.count(split))]
    paths = {name: clip_path(out, *name) for name in names}
    missing = [name for name, path in paths.items() if not (path.exists() and path.with_suffix(".json").exists())]
    done = len(names) - len(missing)
    on_progress(done, len(names))
    chunk = max(1, min(_CHUNK, len(missing) // (4 * workers)))
    chunks = [missing[start : start + chunk] for start in range(0, len(missing), chunk)]
    for made in _made(out, settings, chunks, min(workers, len(chunks))):
        done += made
        on_progress(done, len(names))
    write_json(out / DESCRIPTION, settings.description(complete=True))


def _made(out: Path, settings: Settings, chunks: list[list[Name]], workers: int) -> Iterator[int]:
    """Make all chunks; yields the number of clips of each as it is finished."""
    for _, made in each(partial(_make, out, settings), chunks, workers if workers > 1 else 0):
        if isinstance(made, Lost):
            raise UserError(
                f"{out}: a worker process ended before its work was done ({made.reason}; too little memory?); "
                "with workers=1 one process makes everything"
            )
        yield made


def _make(out: Path, settings: Settings, names: list[Name]) -> int:
    for split, index in names:
        clip = make_clip(settings, split, index)
        path = clip_path(out, split, index)
        write_video(path, clip.frames, settings.fps, clip.samples, settings.rate)
        # Written last: a clip is whole when its ground truth is there.
        write_whole(path.with_suffix(".json"), truth_bytes(clip.truth))
        progressed()
    return len(names)


def _claim(out: Path, settings: Settings) -> None:
    """Make the folders and write the settings; raises UserError where ``out`` holds something else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: a file; name a folder for the world")
    found = read_description(out)
    wanted = settings.description(complete=False)
    if found is not None:
        there, asked = occurring(found), occurring(wanted)
        different = [key for key in wanted if key != "complete" and there.get(key) != asked[key]]
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
        remove_unfinished(out / split, _STALE_SECONDS)
    if found is None:
        write_json(out / DESCRIPTION, wanted)
