"""Building an index of a collection, adding to it, and dropping what is gone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.media.selection import digest_of
from avssl.networks.saved_names import saved_names
from avssl.search.files import WORK, IndexFiles, is_index, write_index
from avssl.search.missing import Missing
from avssl.search.places import Data
from avssl.search.writing import Entry, write_files
from avssl.system.console import ShowProgress, log
from avssl.system.digests import content_digest
from avssl.system.files import locked
from avssl.system.parts import Part

EVERY_SECONDS = 1.0
"""Between the moments of an item, where nothing else is asked for."""


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
    merge: bool = False,
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
        merge: put together what :func:`embed_part` has embedded, all parts of which must be done.

    Raises:
        UserError: an index of another run's weights or another spacing, one that is damaged, a run without a space
            where picture and sound meet, data of which nothing can be used, parts that are missing, a full disk.
    """
    media, about = _opened(folder, data, run, every, shown)
    origin = Data.of(data, media)
    with _alone_in(folder):
        old = IndexFiles(folder) if is_index(folder) else None
        if old is not None and origin.plain() in old.header["data"] and not (old.header["skipped"] or merge):
            return Changes(len(old.rows), len(old.rows.items), 0, len(old.rows.items))  # nothing was written since
        missing = Missing(folder, media, old, about)
        if merge:
            missing.take_parts()
        missing.embed(run, device, workers, shown)
        return _written(missing, origin, run, about, shown)


def embed_part(
    folder: Path,
    data: str | Sequence[str],
    run: str | Path,
    every: float | None,
    part: Part,
    *,
    device: str = "auto",
    workers: int | None = None,
    shown: ShowProgress = None,
) -> None:
    """Embed a part of what an index lacks, while other machines embed others; :func:`update_index` merges them.

    Args and raises are those of :func:`update_index`.
    """
    media, about = _opened(folder, data, run, every, shown)
    with _alone_in(folder):  # only while it is looked at what is there
        old = IndexFiles(folder) if is_index(folder) else None
        missing = Missing(folder, media, old, about, part)
    missing.embed(run, device, workers, shown)
    missing.part_is_done()


def _opened(
    folder: Path, data: str | Sequence[str], run: str | Path, every: float | None, shown: ShowProgress
) -> tuple[Media, dict[str, Any]]:
    """The data, and what vectors of an index in this folder must be of."""
    from avssl.media.opening import open_media

    weights = weights_digest(run)
    is_ours = is_index(folder) or (folder / WORK).is_dir()
    if folder.is_dir() and not is_ours and any(path.name != ".lock" for path in folder.iterdir()):
        raise UserError(f"{folder} holds other files; name a new folder for the search index")
    old = IndexFiles(folder) if is_index(folder) else None
    about = {"weights": weights, "every": _spacing(folder, old, weights, run, every)}
    return open_media(list(data) if not isinstance(data, str) else data, progress=shown), about


def _alone_in(folder: Path) -> AbstractContextManager[None]:
    return locked(folder, lambda: log(f"another process is writing {folder}; waiting for it"))


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
    # Vectors of two networks, or two stages of one training, lie in unrelated spaces: their cosines mean nothing.
    if old.header["weights"] != weights:
        raise UserError(
            f"{folder} was made with other weights than {run} has now (those of {old.header['run']}); "
            "make a new index in another folder"
        )
    spacing = float(old.header["every"])
    if every is not None and every != spacing:
        raise UserError(f"{folder} has a moment every {spacing:g} s; leave out --every, or name another folder")
    return spacing


def _written(missing: Missing, origin: Data, run: str | Path, about: Mapping[str, Any], shown: ShowProgress) -> Changes:
    """Put together what stays of the old index and what was embedded."""
    old, media = missing.old, missing.media
    data = [] if old is None else [Data.read(one) for one in old.header["data"]]
    here = next((n for n, one in enumerate(data) if one.source == origin.source), len(data))
    data[here : here + 1] = [origin]
    # Known items keep their vectors and get the facts of now: a new label or split costs no embedding.
    present = {place.key: i for i, place in enumerate(missing.places)}
    spots = {(place.path, place.zero_seconds) for place in missing.places}
    entries: list[Entry] = []
    forgotten, kept = 0, set()
    for n in range(0 if old is None else len(old.rows.items)):
        assert old is not None
        key = str(old.rows.items["key"][n], "ascii")
        if key in present:
            entries.append(Entry.of_item(media.facts(present[key]), missing.places[present[key]], here, old=n))
            kept.add(key)
        elif _is_gone(old, n, here, spots):  # its new state, if it has one, is among the pieces
            forgotten += 1
        else:
            entries.append(Entry.of_old(old, n))
    for i, place in enumerate(missing.places):
        if place.key in missing.pieces and place.key not in kept:
            entries.append(Entry.of_item(media.facts(i), place, here, piece=missing.pieces[place.key]))
            kept.add(place.key)
    skipped = [(path, why) for path, why in media.rejected]
    skipped += [(media.facts(i).path, why) for i, why in sorted(missing.skipped.items())]
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
    write_index(missing.folder, header, lambda place: write_files(place, entries, old, shown))
    shutil.rmtree(missing.work, ignore_errors=True)
    new = IndexFiles(missing.folder)
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
    # A folder that is not there at all may be on a disk that is not mounted today.
    return path.parent.is_dir() and not path.exists()
