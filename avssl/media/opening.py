"""``avssl.open``: from a name to a collection."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from avssl.errors import UserError
from avssl.media.collection import Collection
from avssl.media.hf_dataset import exported, is_hf_dataset
from avssl.media.indexing.clip_table_formats import is_table
from avssl.media.indexing.clip_tables import list_table
from avssl.media.indexing.index import index_home, indexed, inspect_part, inspected_in_parts
from avssl.media.indexing.listing import SPLITS, Listing, Source, list_files, list_folder, list_tar
from avssl.media.prepared.read import Prepared, is_prepared, is_unfinished, was_prepared
from avssl.media.selection import Subset, column_of
from avssl.system.console import ShowProgress, counted
from avssl.system.parts import Part
from avssl.system.remote import is_remote


def open_media(
    data: Source,
    *,
    split: str | None = None,
    source_column: str | None = None,
    index: str | os.PathLike[str] | None = None,
    again: bool = False,
    merge: bool = False,
    workers: int | None = None,
    progress: ShowProgress = None,
) -> Collection | Prepared | Subset:
    """Open a collection of videos, images or sounds.

    Each file is inspected once, in parallel; the verdict is kept as long as the file's size and times of change stay
    the same, except for temporary errors (no permission to read, a time-out). A file that cannot be used is in
    ``rejected`` with its reason.

    Args:
        data: a folder (searched to its depths; the first sub-folder is the label, unless the sub-folders are
            named train, validation or val, test: those are splits); a CSV (``path[,label,split,start,duration,
            source]``, paths relative to it); a tar of images (``CLASS/NAME``); a prepared set, on this disk or
            elsewhere (``s3://``, ``gs://``, ``hf://``, ``https://``); what Hugging Face's ``datasets`` saved
            (``hf-dataset:PATH_OR_NAME[:SPLIT]``); one file; or a list of files. A CSV may call its
            columns ``file``, ``filename`` or ``clip`` for the path, ``kind`` or ``class`` for the label, and
            ``source_video`` for the source. With ``start`` an item is a segment of its file, whose zero is the frame
            shown at that second.
        split: only the items of this split ("train", "validation", "test").
        source_column: the column of a CSV that names what an item was cut from; items of one source are never
            divided between parts. By default ``source`` or ``source_video``, else each file is its own source.
        index: folder to keep the index in; by default the user's cache, which ``AVSSL_CACHE`` moves.
        again: inspect every file again, also where nothing changed.
        merge: make the index from parts (:class:`IndexWork`), all of which must be finished.
        workers: processes that inspect files; None takes all cores; 0 works in this process, where
            a crash of a decoder is not survived.
        progress: a function that is called with (done, total); False shows nothing; None or True shows a bar, or
            without a terminal a line every ten seconds.

    Raises:
        NothingUsable: no file of it can be used; a UserError that names each with its reason.
        UserError: nothing there, nothing in it, or nothing of this split.
    """
    if isinstance(data, str) and is_remote(data):
        from avssl.media.prepared.remote import open_remote

        return _only(open_remote(data), split, data)
    prepared = _prepared(data)
    if prepared is not None:
        return _only(prepared, split, data)
    listing = list_source(data, source_column)
    table, inspected = indexed(listing, index_home(listing, index), workers, progress, again=again, merge=merge)
    return _only(Collection(table, inspected), split, data)


@dataclass(frozen=True)
class IndexWork:
    """Inspecting the files of data in parts, which ``open_media(…, merge=True)`` puts together. Fields as there."""

    data: Source
    source_column: str | None = None
    index: str | os.PathLike[str] | None = None
    again: bool = False

    unit: ClassVar[str] = "file"

    @property
    def units(self) -> int:
        return len({entry.file for entry in list_source(self.data, self.source_column).entries})

    def units_there(self) -> int:
        """Files that any part has inspected."""
        listing = list_source(self.data, self.source_column)
        return inspected_in_parts(listing, index_home(listing, self.index))

    def do(self, part: Part, workers: int | None, progress: ShowProgress) -> None:
        """Inspect the files of a part; raises UserError as :func:`open_media`."""
        listing = list_source(self.data, self.source_column)
        inspect_part(listing, index_home(listing, self.index), part, workers, progress, again=self.again)


def list_source(source: Source, source_column: str | None = None) -> Listing:
    """List a folder, CSV, tar, file or list of files; no media file is opened.

    Raises:
        UserError: nothing there, nothing in it, or a table without the columns wanted.
    """
    if source_column is not None and not _is_table(source):
        raise UserError(f"{source}: is no CSV; a column of sources ({source_column!r}) is only there in a CSV")
    if not isinstance(source, (str, os.PathLike)):
        for name in filter(is_remote, source):
            raise UserError(f"{name}: only one remote set is read at a time; give its URL alone")
        return list_files(source)
    if isinstance(source, str) and is_hf_dataset(source):
        return list_table(exported(source))
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"{source}: no such file or folder")
    path = path.absolute()
    if path.is_dir():
        return list_folder(path)
    if _is_table(path):
        return list_table(path, source_column)
    if ".tar" in (suffix.lower() for suffix in path.suffixes[-2:]) or path.suffix.lower() == ".tgz":
        return list_tar(path)
    return list_files([path])


def _prepared(data: Source) -> Prepared | None:
    if not isinstance(data, (str, os.PathLike)):
        return None
    folder = Path(data).expanduser().absolute()
    if is_prepared(folder):
        return Prepared(folder)
    if is_unfinished(folder):
        raise UserError(f"{data}: its preparation was interrupted; run avssl prepare again with the same options")
    if was_prepared(folder):
        raise UserError(f"{data}: a prepared set whose index is missing or damaged; remove it and prepare it again")
    return None


def _only(media: Collection | Prepared, split: str | None, data: Source) -> Collection | Prepared | Subset:
    if split is None:
        return media
    splits = column_of(media, "split")
    part = Subset(media, np.flatnonzero(splits == SPLITS.get(split.lower(), split)))
    if len(part):
        return part
    named = str(data) if isinstance(data, (str, os.PathLike)) else f"the list of {counted(len(data), 'file')}"
    names = ", ".join(sorted(set(splits) - {None, ""}))
    there = f"its splits: {names}" if names else "none is named; sub-folders train/ and test/ name them"
    raise UserError(f"{named}: no item is of split {split!r} ({there})")


def _is_table(source: Source) -> bool:
    return isinstance(source, (str, os.PathLike)) and is_table(Path(source))
