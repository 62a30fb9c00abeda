"""Listings of files before any is opened: folders, tables, tars and lists of files, in one form."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from avssl.errors import UserError
from avssl.media.facts import Rejected

# Sub-folders of these names are splits, not labels.
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}

ASKED = ".asked"  # suffix of the file that says which paths a table's listing depends on; kept beside the indexes

# The argument of avssl.open: a folder, a CSV, a tar, a file, or a list of files.
Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One item: a file, a segment of a file, or a member of a tar."""

    name: str  # path relative to the listing's root, with / (absolute if it lies elsewhere); in a tar the member's name
    size: int
    modified_ns: int
    label: str | None = None
    split: str | None = None
    source: str = ""
    start_seconds: float | None = None
    duration_seconds: float | None = None
    offset: int = -1  # where the member's bytes begin in the tar; -1 for a file
    # When the system last saw it written, moved or given other rights: a copy with a forged time betrays itself.
    changed_ns: int = 0

    @property
    def file(self) -> tuple[str, int, int, int, int]:
        """Identifies the bytes: equal for segments of one file, different once the file has changed."""
        return (self.name, self.offset, self.size, self.modified_ns, self.changed_ns)


class Listing:
    """The entries in a fixed order, and the files that are refused without opening them.

    Args:
        root: absolute folder that names are relative to, or the tar that holds the members.
        seal: a text that all entries follow from, or a way to find it, where there is one.
        fill: adds the entries on first use; with a seal they often need not be listed at all.
    """

    def __init__(
        self, root: str, seal: Seal | str | None = None, fill: Callable[[Listing], None] | None = None
    ) -> None:
        self.root = root
        self._seal = seal
        self._fill = fill
        self._entries: list[Entry] = []
        self._rejected: list[Rejected] = []

    @property
    def entries(self) -> list[Entry]:
        self._fill_once()
        return self._entries

    @property
    def rejected(self) -> list[Rejected]:
        self._fill_once()
        return self._rejected

    def _fill_once(self) -> None:
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill(self)

    def path(self, entry: Entry) -> str:
        """The absolute path of an entry; of a member, the tar's path and the member's name."""
        return self.path_of(entry.name)

    def path_of(self, name: str) -> str:
        return str(Path(self.root) / name)

    def digest(self, memory: Path | None = None) -> str:
        """Hex digest of all entries; in ``memory`` a seal keeps what it needs to compute it without listing again."""
        state = hashlib.blake2b(f"{self.root}\0".encode("utf-8", "surrogateescape"), digest_size=16)
        if self._seal is not None:
            sealed = self._seal if isinstance(self._seal, str) else self._seal.recalled(memory)
            if sealed is None and not isinstance(self._seal, str):
                self._fill_once()
                sealed = self._seal.fresh(memory)
            state.update((sealed or "").encode())
            return state.hexdigest()
        for entry in self.entries:
            state.update(repr([getattr(entry, name) for name in Entry.__slots__]).encode("utf-8", "surrogatepass"))
        for refused in self.rejected:
            state.update(repr(refused).encode("utf-8", "surrogatepass"))
        return state.hexdigest()


class Seal(Protocol):
    """Finds a text from which all entries of a listing follow."""

    def recalled(self, memory: Path | None) -> str | None:
        """The text as of now, without listing the entries; None where they must be listed first."""
        ...

    def fresh(self, memory: Path | None) -> str:
        """The text, once the entries are listed; what is needed to recall it is kept in ``memory``."""
        ...


class FileState(NamedTuple):
    """The stat of a path: the same as long as nobody writes, moves or locks the file."""

    mode: int  # type and permissions; the negative errno of a path that cannot be followed
    size: int  # bytes; of a path that cannot be followed 1 if something is there (a link), else 0
    modified_ns: int
    changed_ns: int

    @property
    def is_there(self) -> bool:
        """Whether anything has this name, even a broken link."""
        return self.mode >= 0 or self.size > 0

    @property
    def why_no_file(self) -> str | None:
        """Why it cannot be read as a file; None if it can."""
        if self.mode < 0:
            return "no such file" if -self.mode == errno.ENOENT else os.strerror(-self.mode).lower()
        return None if stat.S_ISREG(self.mode) else "a folder, not a file"


def state_of(path: str) -> FileState:
    try:
        found = os.stat(path)  # noqa: PTH116  Path takes twice as long, for each of a million
    except OSError as error:
        return FileState(-(error.errno or errno.EIO), int(os.path.lexists(path)), -1, -1)
    return FileState(found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def list_folder(root: Path) -> Listing:
    found = list(walk(str(root), ""))
    if not found:
        raise UserError(f"{root}: the folder is empty; give one that holds videos, images or sounds")
    split_folders = _are_splits(name.split("/")[0] for name, _ in found if "/" in name)
    listing = Listing(str(root))
    for name, state in _without_annotations(found):
        if isinstance(state, str):
            listing.rejected.append(Rejected(str(root / name), state))
            continue
        label, split = _label_and_split(name.split("/")[:-1], split_folders)
        times = {"modified_ns": state.st_mtime_ns, "changed_ns": state.st_ctime_ns}
        listing.entries.append(Entry(name, state.st_size, **times, label=label, split=split, source=name))
    return listing


def _are_splits(folders: Iterable[str]) -> bool:
    """Whether outermost folders are splits: only if all of them are, as "train" beside "bus" is a class of vehicles."""
    names = {folder.lower() for folder in folders}
    return bool(names) and names <= SPLITS.keys()


def _label_and_split(folders: Sequence[str], split_folders: bool) -> tuple[str | None, str | None]:
    """By the folders that a file lies in, from the outermost on."""
    names = list(folders)
    split = SPLITS[names.pop(0).lower()] if split_folders and names else None
    return (names[0] if names else None), split


_Found = tuple[str, os.stat_result | str]  # a name, and the file's size and time or why it cannot be a file


def walk(folder: str, prefix: str) -> Iterator[_Found]:
    """All files below a folder in the order of their names, without hidden ones."""
    try:
        with os.scandir(folder) as scan:
            inside = sorted(scan, key=lambda item: item.name)
    except OSError as error:
        yield prefix, _missing(error)
        return
    for item in inside:
        name = f"{prefix}{item.name}"
        if item.name.startswith(".") or item.name == "__MACOSX":
            continue
        try:
            yield from _inside(folder, item, name)
        except OSError as error:  # it was removed meanwhile
            yield name, _missing(error)


def _inside(folder: str, item: os.DirEntry[str], name: str) -> Iterator[_Found]:
    if item.is_dir():
        # A link to a folder is followed unless it leads back up, which would never end.
        if not item.is_symlink() or not Path(folder).resolve().is_relative_to(Path(item.path).resolve()):
            yield from walk(item.path, f"{name}/")
    elif item.is_file():
        yield name, item.stat()
    else:
        yield name, "a link that leads nowhere" if item.is_symlink() else "not a file"


def _without_annotations(found: Sequence[_Found]) -> Iterator[_Found]:
    """Drop JSON files beside another file of the same stem: they annotate that file."""
    parts = [os.path.splitext(name) for name, _ in found]  # noqa: PTH122  Path is slow, for each of a million
    stems = {stem for stem, suffix in parts if suffix.lower() != ".json"}
    for (name, state), (stem, suffix) in zip(found, parts, strict=True):
        if suffix.lower() != ".json" or stem not in stems:
            yield name, state


def list_files(paths: Iterable[str | os.PathLike[str]]) -> Listing:
    absolute = [Path(path).expanduser().absolute() for path in paths]
    if not absolute:
        raise UserError("the list of files is empty; name at least one")
    root = Path(os.path.commonpath([path.parent for path in absolute]))
    listing = Listing(str(root))
    for path in absolute:
        add_file(listing, path.relative_to(root).as_posix(), state_of(str(path)))
    if len(absolute) == 1 and listing.rejected:
        raise UserError(f"{absolute[0]}: {listing.rejected[0].reason}")
    return listing


def add_file(listing: Listing, name: str, state: FileState, *, source: str | None = None, **known: Any) -> None:
    reason = state.why_no_file
    if reason is not None:
        listing.rejected.append(Rejected(listing.path_of(name), reason))
        return
    _, size, modified_ns, changed_ns = state
    listing.entries.append(Entry(name, size, modified_ns, changed_ns=changed_ns, source=source or name, **known))


def _missing(error: OSError) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error).lower()


def list_tar(path: Path) -> Listing:
    """Images in an uncompressed tar, read where they lie; ``CLASS/NAME`` gives the label."""
    state = path.stat()
    # A tar that has not changed has the same members: it need not be read through to find its index.
    seal = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    return Listing(str(path), seal, partial(_fill_from_tar, path, state))


def _fill_from_tar(path: Path, state: os.stat_result, listing: Listing) -> None:
    members = _members(path)
    names = [PurePosixPath(member.name) for member in members]
    split_folders = _are_splits(name.parts[0] for name in names if len(name.parts) > 1)
    for member, name in zip(members, names, strict=True):
        if name.is_absolute() or ".." in name.parts:
            listing.rejected.append(Rejected(f"{path}/{member.name}", "its name leads out of the tar"))
        elif not member.isreg():
            listing.rejected.append(Rejected(f"{path}/{member.name}", "a link or a device, not a picture"))
        elif member.offset_data + member.size > state.st_size:
            listing.rejected.append(Rejected(f"{path}/{member.name}", "truncated: the tar ends before it does"))
        elif not name.name.startswith("."):
            label, split = _label_and_split(name.parts[:-1], split_folders)
            times = {"modified_ns": state.st_mtime_ns, "changed_ns": state.st_ctime_ns}
            entry = Entry(str(name), member.size, **times, label=label, split=split, source=str(name))
            listing.entries.append(replace(entry, offset=member.offset_data))


def _members(path: Path) -> list[tarfile.TarInfo]:
    try:
        with tarfile.open(path, "r:") as tar:
            members = [member for member in tar if not member.isdir()]
    except tarfile.ReadError as error:
        raise UserError(f"{path}: {_why_not_a_tar(path)}") from error
    if not members:
        raise UserError(f"{path}: the tar is empty; give one that holds images")
    return members


def _why_not_a_tar(path: Path) -> str:
    try:
        with tarfile.open(path):
            return "a compressed tar cannot be read in place; unpack it to a plain .tar first"
    except tarfile.TarError:
        return "not a tar"
