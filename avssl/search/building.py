"""Building an index of a collection, adding to it, and dropping what is gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.retrieval.embedding import PIXELS, row_times
from avssl.media.facts import Media
from avssl.media.selection import digest_of
from avssl.networks.saved_names import saved_names
from avssl.search.decoding import Decoded, Wanted, decoded
from avssl.search.files import WORK, IndexFiles, is_index, write_index
from avssl.search.pieces import Piece, read_pieces, write_pieces
from avssl.search.places import Data, place_of
from avssl.search.rows import Kind
from avssl.search.writing import Entry, write_files
from avssl.system.console import ShowProgress, log, progress
from avssl.system.digests import content_digest
from avssl.system.files import locked, make_folder, remove_unfinished, write_json

if TYPE_CHECKING:
    from avssl.networks.model import Model

EVERY_SECONDS = 1.0
"""Between the moments of an item, where nothing else is asked for."""

BATCH = 64
"""Moments of one or of several items that go through the network together."""

JOB_MOMENTS = 32
"""Of one item that are decoded by one job, at most."""

KEPT_EVERY_SECONDS = 10.0
"""So much work is lost when a process is killed."""


@dataclass
class Changes:
    """What became of an index.

    Attributes:
        rows, items: that it has now.
        embedded: items that were embedded for it.
        kept: items that it had.
        forgotten: items that are gone, or changed and embedded again.
        skipped: files that cannot be used, with their reasons.
        graphs: by kind what is known of the graph that its vectors are searched by, where there is one.
    """

    rows: int = 0
    items: int = 0
    embedded: int = 0
    kept: int = 0
    forgotten: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    graphs: dict[str, Any] = field(default_factory=dict)


def update_index(
    folder: Path,
    data: str | Sequence[str],
    run: str | Path,
    every: float | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    shown: ShowProgress = None,
) -> Changes:
    """Make ``folder`` an index of the data, or bring it up to date: only what is new or changed is embedded.

    What it has of other data stays, but for files that are gone from their folders. Killed, the same call goes on
    where it was.

    Args:
        folder: of the index.
        data: as :func:`avssl.open` takes it.
        run: the folder of a run of av-correspondence.
        every: seconds between the moments of an item; None is that of the index, of a new one :data:`EVERY_SECONDS`.
        device: where the network works.
        workers: processes that decode; None takes the cores there are, 0 decodes here.
        shown: how progress is shown.

    Raises:
        UserError: an index of another run's weights or another spacing, one that is damaged, a run without a space
            where picture and sound meet, data of which nothing can be used, a full disk.
    """
    from avssl.media.opening import open_media

    weights = weights_digest(run)
    if folder.is_dir() and not is_index(folder) and not (folder / WORK).is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files; name a new folder for the search index")
    old = IndexFiles(folder) if is_index(folder) else None
    spacing = _spacing(folder, old, weights, run, every)
    media = open_media(list(data) if not isinstance(data, str) else data, progress=shown)
    origin = Data.of(data, media)
    with locked(folder, lambda: log(f"another process is writing {folder}; waiting for it")):
        old = IndexFiles(folder) if is_index(folder) else None
        if old is not None and origin.plain() in old.header["data"] and not old.header["skipped"]:
            return Changes(len(old.rows), len(old.rows.items), 0, len(old.rows.items))  # nothing was written since
        about = {"weights": weights, "every": spacing}
        todo = _Todo(folder, media, old, about)
        todo.embed(run, device, workers, shown)
        return _written(todo, origin, run, about, shown)


def weights_digest(run: str | Path) -> str:
    """A digest of the encoders of a run: an index is of one such.

    Raises:
        UserError: there is no such run, or nothing is saved there.
    """
    folder, _ = saved_names(run)
    return digest_of(*(f"{file.name} {content_digest(file)}" for file in sorted(folder.iterdir()) if file.is_file()))


def _spacing(folder: Path, old: IndexFiles | None, weights: str, run: str | Path, every: float | None) -> float:
    if old is None:
        return EVERY_SECONDS if every is None else every
    if old.header["weights"] != weights:
        raise UserError(
            f"{folder} was made with other weights than {run} has now (those of {old.header['run']}); "
            "make a new index in another folder"
        )
    spacing = float(old.header["every"])
    if every is not None and every != spacing:
        raise UserError(f"{folder} has a moment every {spacing:g} s; leave out --every, or name another folder")
    return spacing


class _Todo:
    """What an index lacks of a collection, and what is known of the rest.

    Attributes:
        places: of the items of the collection, in order.
        pieces: files of what was embedded and is not part of the index, by the keys of their items.
        skipped: items that cannot be read, with their reasons.
    """

    def __init__(self, folder: Path, media: Media, old: IndexFiles | None, about: Mapping[str, Any]) -> None:
        self.folder, self.media, self.old, self.spacing = folder, media, old, float(about["every"])
        self.work = folder / WORK
        self.places = [place_of(media, i) for i in range(len(media))]
        self.known = {} if old is None else {str(key, "ascii"): n for n, key in enumerate(old.rows.items["key"])}
        self.pieces: dict[str, Path] = {}
        self.skipped: dict[int, str] = {}
        if (self.work / "about.json").is_file() and _is_of(self.work / "about.json", about):
            remove_unfinished(self.work)
            for path in sorted(self.work.glob("*.npz")):
                self.pieces.update((piece.key, path) for piece in read_pieces(path))
        else:  # of another network
            shutil.rmtree(self.work, ignore_errors=True)
        make_folder(self.work)
        write_json(self.work / "about.json", dict(about))
        self.missing = [i for i, one in enumerate(self.places) if one.key not in self.known | self.pieces.keys()]

    def embed(self, run: str | Path, device: str, workers: int | None, shown: ShowProgress) -> None:
        """Embed what is missing, kept on disk every few seconds."""
        if not self.missing:
            return
        from avssl.networks.model import load
        from avssl.trainer.devices import choose_device

        model = load(run).to(choose_device(device))
        refuse_without_space(model)
        number = 1 + max((int(path.stem) for path in self.work.glob("*.npz") if path.stem.isdecimal()), default=0)
        waiting: list[Piece] = []
        last = time.monotonic()
        with progress("embedding", "moment", shown) as on_progress:
            for piece in embedded_items(self, model, workers, on_progress):
                waiting.append(piece)
                if time.monotonic() - last > KEPT_EVERY_SECONDS:
                    number = self._keep(number, waiting)
                    last = time.monotonic()
        self._keep(number, waiting)

    def _keep(self, number: int, waiting: list[Piece]) -> int:
        if not waiting:
            return number
        path = self.work / f"{number:06d}.npz"
        write_pieces(path, waiting)
        self.pieces.update((piece.key, path) for piece in waiting)
        waiting.clear()
        return number + 1


def refuse_without_space(model: Model) -> None:
    """
    Raises:
        UserError: the model has no space where picture and sound meet.
    """
    if model.fusion is None:
        raise UserError(
            "this run has no space where picture and sound meet; take a run of: avssl train av-correspondence"
        )


def embedded_items(
    todo: _Todo, model: Model, workers: int | None, on_progress: Callable[[int, int], None]
) -> Iterator[Piece]:
    """The missing items, each with all its moments, in the order of being done."""
    sound = None if model.audio_encoder is None else (model.audio_encoder.seconds, model.audio_encoder.rate)
    jobs: list[Wanted] = []
    counts: dict[int, int] = {}
    for i in todo.missing:
        facts = todo.media.facts(i)
        times = row_times(facts, todo.spacing)
        size = max(1, min(JOB_MOMENTS, PIXELS // max(1, facts.width * facts.height)))
        frames = model.vision is not None and facts.kind != "sound"
        parts = [times[first : first + size] for first in range(0, len(times), size)]
        jobs += [Wanted(i, part, frames, sound if facts.has_sound else None) for part in parts]
        counts[i] = len(parts)
    done: dict[int, list[_Part]] = {}
    total, count = sum(len(job.times) for job in jobs), 0
    for part in _embedded(todo, model, jobs, workers):
        count += len(part.times)
        on_progress(count, total)
        own = done.setdefault(part.item, [])
        own.append(part)
        if len(own) == counts[part.item]:
            del done[part.item]
            if part.item not in todo.skipped:
                yield _joined(todo.places[part.item].key, own)


@dataclass
class _Part:
    """Some moments of an item, as they come from the network."""

    item: int
    times: Sequence[float]
    vectors: dict[Kind, NDArray[np.float32]] = field(default_factory=dict)


def _embedded(todo: _Todo, model: Model, jobs: Sequence[Wanted], workers: int | None) -> Iterator[_Part]:
    """The vectors of all jobs; several small ones go through the network together."""
    waiting: list[tuple[Wanted, Decoded]] = []
    for place, found in decoded(todo.media, jobs, workers):
        job = jobs[place]
        if isinstance(found, str):
            todo.skipped[job.item] = found
            yield _Part(job.item, job.times)
            continue
        waiting.append((job, found))
        if sum(len(one.times) for one, _ in waiting) >= BATCH:
            yield from _through(model, waiting)
            waiting = []
    yield from _through(model, waiting)


def _through(model: Model, waiting: Sequence[tuple[Wanted, Decoded]]) -> list[_Part]:
    import torch

    parts = [_Part(job.item, job.times) for job, _ in waiting]
    seen = [(part, found.frames) for part, (_, found) in zip(parts, waiting, strict=True) if found.frames is not None]
    if seen:
        frames = torch.cat([model.prepare_frames(frames) for _, frames in seen])
        _share("image", [part for part, _ in seen], model.image(frames))
    heard = [(part, found.sounds) for part, (_, found) in zip(parts, waiting, strict=True) if found.sounds is not None]
    if heard:
        assert model.audio_encoder is not None
        sounds = np.concatenate([sounds for _, sounds in heard])
        _share("audio", [part for part, _ in heard], model.audio(sounds, model.audio_encoder.rate))
    return parts


def _share(kind: Kind, parts: Sequence[_Part], vectors: Any) -> None:
    """Unit vectors to the parts that they are of, in order."""
    import torch

    unit = torch.nn.functional.normalize(vectors.double(), dim=-1).cpu().numpy().astype(np.float32)
    first = 0
    for part in parts:
        part.vectors[kind] = unit[first : first + len(part.times)]
        first += len(part.times)


def _joined(key: str, parts: list[_Part]) -> Piece:
    parts.sort(key=lambda part: part.times[0])
    kinds = parts[0].vectors
    seconds = np.array([time for part in parts for time in part.times])
    return Piece(key, seconds, {kind: np.concatenate([part.vectors[kind] for part in parts]) for kind in kinds})


def _is_of(path: Path, about: Mapping[str, Any]) -> bool:
    from avssl.system.files import read_json

    return read_json(path) == dict(about)


def _written(todo: _Todo, origin: Data, run: str | Path, about: Mapping[str, Any], shown: ShowProgress) -> Changes:
    """Put together what stays of the old index and what was embedded."""
    old, media = todo.old, todo.media
    data = [] if old is None else [Data.read(one) for one in old.header["data"]]
    here = next((n for n, one in enumerate(data) if one.source == origin.source), len(data))
    data[here : here + 1] = [origin]
    present = {place.key: i for i, place in enumerate(todo.places)}
    spots = {(place.path, place.zero_seconds) for place in todo.places}
    entries: list[Entry] = []
    forgotten, kept = 0, set()
    for n in range(0 if old is None else len(old.rows.items)):
        assert old is not None
        key = str(old.rows.items["key"][n], "ascii")
        if key in present:
            entries.append(Entry.of_item(media.facts(present[key]), todo.places[present[key]], here, old=n))
            kept.add(key)
        elif _is_gone(old, n, here, spots):
            forgotten += 1
        else:
            entries.append(Entry.of_old(old, n))
    for i, place in enumerate(todo.places):
        if place.key in todo.pieces and place.key not in kept:
            entries.append(Entry.of_item(media.facts(i), place, here, piece=todo.pieces[place.key]))
            kept.add(place.key)
    skipped = [(path, why) for path, why in media.rejected]
    skipped += [(media.facts(i).path, why) for i, why in sorted(todo.skipped.items())]
    if not entries:
        first = f": {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(f"nothing of {origin.named} can be embedded{first}")
    header = {
        **about,
        "run": str(Path(run).absolute()),
        "data": [one.plain() for one in data],
        "items": len(entries),
        # Files that could not be read, though their index says that they can: the next call tries them again.
        "skipped": [[path, why] for path, why in skipped[len(media.rejected) :]],
    }
    write_index(todo.folder, header, lambda place: write_files(place, entries, old, shown))
    shutil.rmtree(todo.work, ignore_errors=True)
    new = IndexFiles(todo.folder)
    embedded = sum(entry.piece is not None for entry in entries)
    return Changes(
        len(new.rows), len(entries), embedded, len(entries) - embedded, forgotten, skipped, new.header["graphs"]
    )


def _is_gone(old: IndexFiles, n: int, here: int, places: set[tuple[str, float]]) -> bool:
    """Whether an item of an index is gone: from these data, or, of other data, from its folder."""
    path = Path(old.rows.columns.facts(n).path)
    item = old.rows.items[n]
    if int(item["data"]) == here or (str(path), float(item["zero"])) in places:
        return True
    return path.parent.is_dir() and not path.exists()
