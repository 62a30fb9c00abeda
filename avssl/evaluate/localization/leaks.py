"""Whether a training list and a test list share clips, source videos, or pictures that look the same."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avssl.errors import UserError
from avssl.evaluate.localization.annotations import (
    SUFFIXES,
    clip_name,
    read_annotations,
    read_entries,
    source_of,
    stem_of,
)
from avssl.media.facts import Media
from avssl.system.digests import DIGEST_BYTES, content_digests

MEDIA_SUFFIXES = SUFFIXES | {".mpg", ".mpeg", ".m4v", ".wmv", ".ts", ".3gp", ".ogv", ".gif"}


@dataclass(frozen=True)
class Leaks:
    """What two sets share."""

    # How many names each has
    train: int
    test: int
    clips: tuple[str, ...]  # test names that are also in train
    videos: tuple[str, ...]  # test names whose source video has another or the same clip in train
    by_path: bool = False  # whether names are paths within their set, since file names repeat or are only numbers


def names_of(path: str | Path) -> list[str]:
    """The names in a list (CSV, text) or annotation file (JSON), or of the media in a folder or tar: paths within it.

    Raises:
        UserError: nothing there, nothing in it, or no text.
    """
    place = Path(path)
    if place.is_dir():
        found = _media(f.relative_to(place).as_posix() for f in place.rglob("*"))
        found = found or sorted(f.stem for f in place.glob("*.xml"))
        if not found:
            raise UserError(f"{path}: no media and no annotations are in this folder")
        return found
    if not place.is_file():
        raise UserError(f"{path}: no such list or folder")
    if place.suffix.lower() == ".json":
        return sorted({item.picture for item in read_annotations(place).items})
    if tarfile.is_tarfile(place):
        return _members(place)
    return read_entries(place)


def compare(train: Sequence[str], test: Sequence[str]) -> Leaks:
    """Names of two sets, compared as clips and as source videos (YouTube id, UCF101 group, ESC-50 recording).

    Files of one name in several folders of a set (``chair/0001.jpg``, ``cup/0001.jpg``) are different things: where
    there are such, or where files in folders of both sets have only numbers for names, names are the paths within both
    sets. A name that is an id of one of the kinds above stands for itself wherever it lies.
    """
    by_path = _repeats(train) or _repeats(test) or (_numbered(train) and _numbered(test))
    ours, theirs = _keys(train, by_path), _keys(test, by_path)
    videos = set(ours.values())
    return Leaks(
        len(ours),
        len(theirs),
        tuple(name for name in theirs if name in ours),
        tuple(name for name, source in theirs.items() if source in videos),
        by_path,
    )


def same_bytes(train: str | Path, test: str | Path, names: Iterable[str]) -> list[str]:
    """Which of the paths that :func:`compare` found in both folders or tars are the same file, byte for byte."""
    ours, theirs = (
        {(next(iter(_keys([path], by_path=True))), digest) for path, digest in digests.items()}
        for digests in _digests_of_both(train, test)
    )
    return sorted(set(names) & {name for name, _ in ours & theirs})


def copied(train: str | Path, test: str | Path) -> dict[str, str]:
    """Files of ``test`` with the same bytes as one of ``train``, under whatever name: by path, the path of that one."""
    known, found = _digests_of_both(train, test)
    # Of several copies in training the first is named.
    first: dict[str, str] = {}
    for path, digest in known.items():
        first.setdefault(digest, path)
    return {path: first[digest] for path, digest in found.items() if digest in first}


def is_media(path: str | Path) -> bool:
    """Whether it is a folder or a tar, not a list."""
    place = Path(path)
    return place.is_dir() or (place.is_file() and tarfile.is_tarfile(place))


@dataclass(frozen=True)
class Twins:
    """Two items that show one picture: where each is, and in how many of 63 bits their thumbnails differ."""

    train: str
    test: str
    bits: int


def near_duplicates(train: Media, test: Media) -> list[Twins]:
    """Test items of which a picture is a copy of one of a training item, scaled, saved again or mirrored: the nearest
    training item of each. Five pictures of a video are compared; plain ones are ignored."""
    from avssl.media.selection import Concatenated
    from avssl.media.sources.image_similarity import bits_apart, candidates
    from avssl.media.sources.traces import traces_of

    both = Concatenated(train, test)
    traces = traces_of(both, None, False)
    nearest: dict[int, tuple[int, int]] = {}
    for a, b in candidates([trace.grey for trace in traces]):
        if a < len(train) <= b:
            bits = bits_apart(traces[a].grey, traces[a].colour, traces[b].grey, traces[b].colour)
            if bits is not None:
                nearest[b] = min(nearest.get(b, (64, 0)), (bits, a))  # 64: more than any two can differ by
    return [Twins(both.facts(a).path, both.facts(b).path, bits) for b, (bits, a) in sorted(nearest.items())]


def _media(paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if PurePosixPath(path).suffix.lower() in MEDIA_SUFFIXES)


def _members(place: Path) -> list[str]:
    try:
        with tarfile.open(place) as archive:
            found = _media(member.name.removeprefix("./") for member in archive if member.isfile())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{place} cannot be read as a tar ({error})") from None
    if not found:
        raise UserError(f"{place}: no media are in this tar")
    return found


def _digests_of_both(train: str | Path, test: str | Path) -> list[dict[str, str]]:
    """Of each of two folders or tars the digest of each file, by path; files of a size that only one has cannot be in
    both, and are not read."""
    places = Path(train), Path(test)
    sizes = [_sizes(place) for place in places]
    both = set(sizes[0].values()) & set(sizes[1].values())
    wanted = [{path for path, size in one.items() if size in both} for one in sizes]
    return [_digests(place, paths) for place, paths in zip(places, wanted, strict=True)]


def _sizes(place: Path) -> dict[str, int]:
    if place.is_dir():
        return {path: (place / path).stat().st_size for path in names_of(place) if (place / path).is_file()}
    with tarfile.open(place) as archive:
        return {m.name.removeprefix("./"): m.size for m in archive if m.isfile() and _media([m.name])}


def _digests(place: Path, wanted: set[str]) -> dict[str, str]:
    if place.is_dir():
        known = content_digests(str(place / path) for path in sorted(wanted))
        return {path: known[str(place / path)] for path in sorted(wanted) if str(place / path) in known}
    found: dict[str, str] = {}
    with tarfile.open(place) as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            file = archive.extractfile(member) if path in wanted else None
            if file is not None:
                found[path] = hashlib.blake2b(file.read(), digest_size=DIGEST_BYTES).hexdigest()
    return found


def _numbered(paths: Sequence[str]) -> bool:
    """Whether the names of files in folders are only numbers."""
    return any(stem_of(path).isdigit() and PurePosixPath(_plain(path)).parent.name for path in paths)


def _repeats(paths: Sequence[str]) -> bool:
    """Whether one file name, no id of a known kind, stands in several folders. A picture and a sound may share one."""
    named: dict[tuple[str, str], set[str]] = {}
    for path in paths:
        pure = PurePosixPath(_plain(path))
        if source_of(stem_of(path)) == clip_name(stem_of(path)):
            named.setdefault((stem_of(path), pure.suffix.lower()), set()).add(str(pure.parent))
    return any(len(folders) > 1 for folders in named.values())


def _keys(paths: Sequence[str], by_path: bool) -> dict[str, str]:
    """The source of each name, in the order of the paths."""
    found: dict[str, str] = {}
    for path in paths:
        stem = stem_of(path)
        clip, source = clip_name(stem), source_of(stem)
        if by_path and source == clip:
            pure = PurePosixPath(_plain(path))
            clip = str(pure.parent / stem)
            # Frames in a folder that is named after their clip are of that clip's video.
            known = [source_of(part) for part in pure.parent.parts if source_of(part) != clip_name(part)]
            source = known[-1] if known else clip
        found[clip] = source
    return found


def _plain(path: str) -> str:
    return path.strip().replace("\\", "/")
