"""Data sets of Hugging Face's ``datasets`` on disk or on a hub: ``--data hf-dataset:PATH_OR_NAME[:SPLIT]``.

What ``save_to_disk`` and ``to_parquet`` write, and what a hub holds as Parquet, has the bytes of files in rows of
Arrow. They are written out once, into the cache, as files with a table of labels and splits, so that they are indexed,
checked and read as all others.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.errors import UserError, reason_of
from avssl.installation import install_hint
from avssl.media.selection import digest_of
from avssl.system.console import counted, log
from avssl.system.files import UNFINISHED, cache_folder, locked, whole_folder
from avssl.system.hub import fetched_dataset

PREFIX = "hf-dataset:"
TABLE = "items.csv"
# Changes where the files that are written do.
_FORMAT = "1"
# Which column is taken where there are several: a video has a sound of its own.
_KINDS = ("Video", "Image", "Audio")
# ORG/NAME as the Hub allows it, a configuration, a revision (a branch may hold "/"), a split.
_NAME = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/(?P<configuration>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?"
    r"(?::(?P<split>[\w.-]+))?"
)
# How a file of each kind begins → its suffix, where its row does not name one. The decoder looks at the content.
_SUFFIXES = {
    b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif",
    b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3", b"\x1aE\xdf\xa3": ".mkv",
}  # fmt: skip
_OTHERWISE = {"Video": ".mp4", "Image": ".png", "Audio": ".wav"}


def is_hf_dataset(source: object) -> bool:
    """Whether data are named as one."""
    return isinstance(source, str) and source.startswith(PREFIX)


@dataclass(frozen=True)
class HubSet:
    """A data set on a hub, as ``hf-dataset:ORG/NAME[/CONFIGURATION][@REVISION][:SPLIT]`` names it."""

    repository: str
    configuration: str | None
    revision: str | None
    split: str | None

    def parts(self) -> list[_Part]:
        """Its Parquet files, which are fetched.

        Raises:
            UserError: it cannot be fetched, or has no such configuration, or several and none is named.
        """
        folder = fetched_dataset(self.repository, self.revision)
        files = sorted(folder.rglob("*.parquet"))
        # CONFIGURATION/SPLIT/0000.parquet, CONFIGURATION/SPLIT-00000-of-00001.parquet, or data/… of the only one.
        known = sorted({file.relative_to(folder).parts[0] for file in files if file.parent != folder})
        chosen = self.configuration or (known[0] if len(known) == 1 else None)
        if chosen not in known and (known or chosen):
            such = "holds several configurations" if chosen is None else f"has no configuration {chosen!r}"
            raise UserError(
                f"the data set {self.repository} {such}: {', '.join(known)}; give "
                f"{PREFIX}{self.repository}/{known[0] if known else ''}"
            )
        return [_Part(file, _split_named(file)) for file in files if chosen is None or chosen in file.parts]


def on_hub(source: str) -> HubSet | None:
    """What is named on a hub; None where it lies on this disk, or cannot be a name."""
    place = source.removeprefix(PREFIX)
    found = _NAME.fullmatch(place)
    if found is None or Path(place).exists() or Path(place.rpartition(":")[0] or place).exists():
        return None
    return HubSet(found["repository"], found["configuration"], found["revision"], found["split"])


def named(source: str) -> tuple[Path, str | None]:
    """(folder or file, split or None) of ``hf-dataset:PATH[:SPLIT]`` on this disk.

    Raises:
        UserError: nothing is there.
    """
    place = source.removeprefix(PREFIX)
    path = Path(place).expanduser()
    if place and path.exists():
        return path.absolute(), None
    before, _, split = place.rpartition(":")
    path = Path(before).expanduser()
    if not before or not split or not path.exists():
        raise UserError(
            f"{source}: no such file or folder; give hf-dataset:PATH[:SPLIT] of what save_to_disk or to_parquet wrote, "
            "or hf-dataset:ORG/NAME[:SPLIT] of a hub"
        )
    return path.absolute(), split


def absolute(source: str) -> str:
    """The same with its absolute path, as a run's config keeps it."""
    if on_hub(source):
        return source
    path, split = named(source)
    return f"{PREFIX}{path}" + (f":{split}" if split else "")


def exported(source: str) -> Path:
    """The table of the files of a data set, which are written into the cache if they are not there yet.

    Raises:
        UserError: no such data set or split, no column of images, videos or sounds, a damaged file, or a full disk.
    """
    there = on_hub(source)
    if there is None:
        path, split = named(source)
        parts = _parts(path)
    else:
        parts, split = there.parts(), there.split
    if split is not None:
        known = sorted({part.split for part in parts})
        parts = [part for part in parts if part.split == split]
        if not parts:
            raise UserError(f"{source}: there is no split {split!r}; there are: {', '.join(known)}")
    try:
        stats = [(str(part.file), part.file.stat()) for part in parts]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}); save the data set again") from None
    stamp = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    home = cache_folder() / "hf-datasets"
    folder = home / digest_of(_FORMAT, split or "", stamp)
    if (folder / TABLE).is_file():
        return folder / TABLE
    with locked(home):
        for left in home.glob(f"*{UNFINISHED}"):  # by a process that was killed: nobody else writes now
            shutil.rmtree(left, ignore_errors=True)
        if not folder.is_dir():  # another process may have written it meanwhile
            log(f"writing the files of {source}, once, into {folder}")
            with whole_folder(folder) as partial:
                _write(parts, partial, source, with_splits=split is None, names_files=there is None)
    return folder / TABLE


@dataclass(frozen=True)
class _Part:
    """A file of a data set, and the split that it belongs to."""

    file: Path
    split: str


def _parts(path: Path) -> list[_Part]:
    if path.is_file():
        found = [_Part(path, _split_named(path))]
    elif (path / "dataset_dict.json").is_file():
        splits = _read(path / "dataset_dict.json").get("splits", [])
        found = [part for split in splits for part in _saved(path / str(split), str(split))]
    elif (path / "state.json").is_file():
        found = _saved(path, None)
    else:
        found = [_Part(file, _split_named(file)) for file in sorted(path.rglob("*.parquet"))]
    if not found:
        raise UserError(f"{path} holds no data set: neither what save_to_disk writes nor Parquet files")
    return found


def _saved(folder: Path, split: str | None) -> list[_Part]:
    """What ``Dataset.save_to_disk`` wrote."""
    state = _read(folder / "state.json")
    split = split or str(state.get("_split") or "train")
    # Names alone: a file must not choose others of the disk.
    names = [Path(str(one.get("filename"))).name for one in state.get("_data_files", [])]
    return [_Part(folder / name, split) for name in names]


def _split_named(file: Path) -> str:
    """As the Hub names files: ``train-00000-of-00002.parquet``, or within a folder ``train/``."""
    word = file.stem.split("-")[0].split(".")[0]
    known = ("train", "validation", "valid", "val", "test")
    return next((one for one in (word, file.parent.name) if one in known), "train")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error)}); save the data set again") from None
    return found if isinstance(found, dict) else {}


def _write(parts: Sequence[_Part], folder: Path, source: str, *, with_splits: bool, names_files: bool) -> None:
    """Write the files and their table.

    Args:
        with_splits: whether the table names the splits.
        names_files: whether a row may name a file of this disk instead: what others wrote must not.
    """
    number, empty = 0, 0
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        for part in parts:
            for item in _items(part.file, source):
                if item.data is None and not (item.path and names_files):
                    empty += 1
                    continue
                name = item.path or f"{number:08d}{item.suffix}"
                if item.data is not None:
                    name = f"{number:08d}{item.suffix}"
                    (folder / name).write_bytes(item.data)
                table.writerow([name, item.label, part.split if with_splits else ""])
                number += 1
    if empty:
        log(f"{source}: left out: {counted(empty, 'row')} without a file")
    if not number:
        raise UserError(f"{source}: no row of it holds a file")


@dataclass(frozen=True)
class _Item:
    data: bytes | None
    path: str | None
    suffix: str
    label: str


def _items(file: Path, source: str) -> Iterator[_Item]:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{source}: to read it pyarrow is missing: {install_hint('datasets')}") from None
    try:
        if file.suffix == ".parquet":
            opened = pyarrow.parquet.ParquetFile(file)
            # Small batches: a row may hold a whole video.
            schema, batches = opened.schema_arrow, opened.iter_batches(batch_size=16)
        else:
            stream = pyarrow.ipc.open_stream(pyarrow.memory_map(str(file)))
            schema, batches = stream.schema, iter(stream)
        features = _features(schema.metadata)
        kind, column, labels = _columns(features, source)
        names = features.get(labels, {}).get("names") if labels else None
        for batch in batches:
            cells = batch.column(column)
            marks = batch.column(labels) if labels else None
            for row in range(batch.num_rows):
                cell = cells[row].as_py() or {}
                label = None if marks is None else marks[row].as_py()
                yield _item(cell, kind, _label(label, names))
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{file} cannot be read ({reason_of(error)}); save the data set again") from None


def _features(metadata: Mapping[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """What ``datasets`` wrote about the columns: {"image": {"_type": "Image"}, …}."""
    try:
        found = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: about for name, about in found.items() if isinstance(about, dict)}


def _columns(features: Mapping[str, Mapping[str, Any]], source: str) -> tuple[str, str, str | None]:
    """(kind, column) of the media, and the column of labels."""
    types = {name: about.get("_type") for name, about in features.items()}
    for kind in _KINDS:
        found = [name for name, its in types.items() if its == kind]
        if len(found) > 1:
            raise UserError(f"{source}: {' and '.join(found)} are all columns of {kind}; leave one: remove_columns(…)")
        if found:
            classes = [name for name, its in types.items() if its == "ClassLabel"]
            label = next((name for name in ("label", *classes) if name in types), None)
            return kind, found[0], label
    columns = ", ".join(f"{name} ({its})" for name, its in types.items()) or "none that datasets described"
    raise UserError(f"{source}: no column is an Image, Video or Audio; its columns: {columns}")


def _label(value: object, names: object) -> str:
    if isinstance(names, list) and isinstance(value, int):
        return str(names[value]) if 0 <= value < len(names) else ""  # −1: no label
    return "" if value is None else str(value)


def _item(cell: Mapping[str, Any], kind: str, label: str) -> _Item:
    data, path = cell.get("bytes"), cell.get("path")
    if data is None:
        # A row that only names a file is read where that lies.
        return _Item(None, str(Path(path).absolute()) if path else None, "", label)
    start = bytes(data[:4])
    suffix = next((suffix for begin, suffix in _SUFFIXES.items() if start.startswith(begin)), _OTHERWISE[kind])
    return _Item(data, None, suffix, label)
