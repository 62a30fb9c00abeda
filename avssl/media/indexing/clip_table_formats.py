"""Reading tables of clips: our own columns, and the published lists of VGGSound, AudioSet, Kinetics and AVE.

Those lists name a YouTube video and seconds in it, not a file. Every downloader names its files differently; the name
tells whether a file holds the whole video or only those seconds, see :func:`file_of`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from avssl.errors import UserError

TABLE_SUFFIXES = (".csv", ".tsv")
VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv", ".mpg", ".mpeg", ".ts", ".3gp", ".wmv", ".ogv",
)  # fmt: skip
SOUND_SUFFIXES = (".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".aac")

# What a column means, and the names it may have (in lower case, with underscores for spaces and hyphens).
COLUMNS = {
    "path": ("path", "file", "filename", "clip"),
    "video": ("youtube_id", "ytid", "videoid", "video_id"),
    "label": ("label", "kind", "class", "category", "positive_labels"),
    "split": ("split", "subset"),
    "source": ("source_video", "source"),
    "start": ("start", "start_seconds", "time_start", "start_time", "starttime"),
    "end": ("end", "end_seconds", "time_end", "end_time", "endtime"),
    "duration": ("duration",),
}

EXPECTED = (
    "path[,label,split,source,start,end or duration], or the columns of VGGSound, AudioSet, Kinetics or AVE "
    "(a YouTube id, seconds, labels)"
)

VGGSOUND_SECONDS = 10  # its list says only where a clip begins (Chen et al. 2020)

_YOUTUBE = re.compile(r"[A-Za-z0-9_-]{11}")
_HEADLESS = {
    "vggsound": ("youtube_id", "start_seconds", "label", "split"),
    "audioset": ("ytid", "start_seconds", "end_seconds", "positive_labels"),
}


class Row(NamedTuple):
    line: int
    cells: Sequence[str]
    # Cell numbers by the meaning of columns, and by _NAMED + their name; one mapping for all rows.
    places: Mapping[str, Sequence[int]]
    too_many: bool = False  # more cells than columns: an unquoted comma inside of a cell

    def get(self, what: str) -> str:
        """The first cell that is not blank among the columns of this meaning; "" if there is none."""
        return self.unstripped(what).strip()

    def unstripped(self, what: str) -> str:
        """The same with the spaces around it, which a file name may really have."""
        for place in self.places.get(what, ()):
            if place < len(self.cells) and self.cells[place].strip():
                return self.cells[place]
        return ""

    def named(self, column: str) -> str:
        return self.get(_NAMED + column)


_NAMED = "column "


def _places(columns: Sequence[str]) -> dict[str, list[int]]:
    found = {name: number for number, name in enumerate(columns)}  # of two of one name the last
    meant = {what: [found[name] for name in names if name in found] for what, names in COLUMNS.items()}
    return {**meant, **{_NAMED + name: [number] for name, number in found.items()}}


@dataclass(frozen=True, slots=True)
class ClipTable:
    path: Path
    columns: Sequence[str]  # as its first line has them, or as the dialect knows them where it has none
    rows: Sequence[Row]  # in order
    by_video: bool  # whether rows name videos by id, and not files


def is_table(path: Path) -> bool:
    """Whether a file is a table: by its suffix, or because it begins like AVE's list (Annotations.txt)."""
    if path.suffix.lower() in TABLE_SUFFIXES:
        return True
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(300).decode("utf-8", "replace")
    return "&" in first and bool({_plain(name) for name in first.split("&")} & {*COLUMNS["video"], *COLUMNS["path"]})


def read_table(path: Path, data: bytes | None = None) -> ClipTable:
    """Read a table of clips with any delimiter (comma, semicolon, tab, ``&``) and line end.

    Args:
        data: the bytes of the table, where they have been read already.

    Raises:
        UserError: it is no text, no table, or none of its columns names files or videos.
    """
    comments, text = _without_comments(_text(path, table_bytes(path) if data is None else data))
    lines = [line for line in re.split(r"\r\n|\r|\n", text[:100_000])[:50] if line.strip()]
    delimiter = max(",;\t&", key=re.sub(r'"[^"]*"', "", lines[0]).count) if lines else ","  # outside of quotes
    # AudioSet separates cells by a comma and a space, and quotes cells that hold commas; csv would take a quote after
    # a space for a letter.
    lenient = any(f'{delimiter} "' in line for line in lines)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=lenient)
    columns: list[str] | None = None
    places: dict[str, list[int]] = {}
    rows: list[Row] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if columns is None:
                columns, is_row = _columns(cells, comments, delimiter)
                places = _places(columns)
                if not is_row:
                    continue
            too_many = len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :])
            rows.append(Row(len(comments) + reader.line_num, cells, places, too_many))
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} cannot be read as a row ({error})") from error
    columns = columns or []
    named = {what for what, names in COLUMNS.items() if set(names) & set(columns)}
    if "path" not in named and "video" not in named:
        seen = ", ".join(columns) or "none"
        raise UserError(f"{path}: has no column 'path' (its columns: {seen}); expected: {EXPECTED}")
    if not rows:
        raise UserError(f"{path}: has no rows below its header; add one for each item")
    by_video = "path" not in named
    if by_video and not named & {"end", "duration"}:
        places["end"] = [len(columns)]
        rows = [_with_end(row, len(columns)) for row in rows]
    return ClipTable(path, columns, rows, by_video)


class Files:
    """Media files by the stems of their names, for all rows of a table."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._stems: dict[str, list[Path]] = {}
        for path in paths:
            if path.suffix.lower() in (*VIDEO_SUFFIXES, *SOUND_SUFFIXES):
                self._stems.setdefault(path.stem, []).append(path)

    def best(self, stem: str, folders: Sequence[str]) -> Path | None:
        """The file of this stem, preferably in one of these folders, preferably a video."""
        found = self._stems.get(stem, [])
        kinds = (*VIDEO_SUFFIXES, *SOUND_SUFFIXES)
        return min(
            found, key=lambda path: (path.parent.name not in folders, kinds.index(path.suffix.lower())), default=None
        )


def file_of(row: Row, files: Files) -> tuple[Path | None, bool, str]:
    """The file of a row that names a video id.

    Files with the seconds in their names (:func:`cut_stems`) hold that segment alone, ``ID`` holds the whole video.

    Returns:
        The file, or None; whether it holds the segment alone; the name to report if it is missing.
    """
    video, label = row.get("video"), row.get("label")
    start, end = _number(row.get("start")), _number(row.get("end"))
    folders = [name for name in (label, label.replace(" ", "_"), row.get("split")) if name]
    stems = list(cut_stems(video, start, end))
    for stem in stems:
        path = files.best(stem, folders)
        if path is not None:
            return path, True, path.name
    path = files.best(video, folders) or files.best(f"v_{video}", folders)
    return path, False, f"{stems[0] if stems and start is not None else video}.mp4"


def cut_stems(video: str, start: float | None, end: float | None) -> Iterator[str]:
    """Names that common download scripts give to a segment of a video."""
    if start is not None:
        whole = f"{start:g}"
        six = f"{int(start):06d}"
        yield f"{video}_{six}"
        if end is not None:
            yield f"{video}_{six}_{int(end):06d}"
            yield f"{video}_{whole}_{end:g}"
            yield f"{video}_{start:.1f}_{end:.1f}"
            yield f"{video}_{start:.3f}_{end:.3f}"
            yield f"{video}_{round(start * 1000)}_{round(end * 1000)}"  # milliseconds
            yield f"{video}-{whole}-{end:g}"
        yield f"{video}_{whole}"
        yield f"{video}_{round(start * 1000)}"
        yield f"{video}-{whole}"
    yield f"Y{video}"  # as PANNs' scripts name AudioSet's sound: an id may begin with a hyphen


def is_cut_name(stem: str, row: Row) -> bool:
    """Whether a file named by a row of a published list holds the segment alone: its name ends with the seconds."""
    if row.named("start"):  # our own column is a place in the file, whatever the file's name
        return False
    ends = cut_stems("", _number(row.get("start")), _number(row.get("end")))
    return any(stem.endswith(end) for end in ends if end != "Y")


def table_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _text(path: Path, data: bytes) -> str:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        if b"\0" in data:
            raise UserError(f"{path}: is not a text table in UTF-8; save it as CSV (UTF-8)")
        # Bytes that are no UTF-8 are kept: names of files may be such bytes.
        return data.decode("utf-8-sig", "surrogateescape")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not a text table in UTF-8; save it as CSV (UTF-8)") from error


def _without_comments(text: str) -> tuple[list[str], str]:
    """The lines with a ``#`` at the beginning of a table, and the rest."""
    comments = []
    while text.startswith("#"):
        end = re.search(r"\r\n|\r|\n", text)
        if end is None:
            break
        comments.append(text[: end.start()])
        text = text[end.end() :]
    return comments, text


def as_windows_wrote(text: str) -> str:
    """A cell whose bytes are no UTF-8, decoded as Windows-1252."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def is_foreign(text: str) -> bool:
    """Whether a cell holds bytes that are no UTF-8: ``surrogateescape`` decodes them to this range."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)


def _columns(cells: Sequence[str], comments: Sequence[str], delimiter: str) -> tuple[list[str], bool]:
    """The names of the columns, and whether these cells are a row already."""
    names = [_plain(cell) for cell in cells]
    known = {name for names in COLUMNS.values() for name in names}
    if not known & set(names):
        for line in reversed(comments):
            values = [_plain(name) for name in line.split(delimiter)]
            if set(values) & {*COLUMNS["path"], *COLUMNS["video"]}:
                return values, True
        if len(cells) >= 4 and _YOUTUBE.fullmatch(cells[0].strip()) and _number(cells[1]) is not None:
            kind = "audioset" if _number(cells[2]) is not None else "vggsound"
            return list(_HEADLESS[kind]), True
    return names, False


def _with_end(row: Row, columns: int) -> Row:
    start = _number(row.get("start"))
    end = "" if start is None else f"{start + VGGSOUND_SECONDS:g}"
    return row._replace(cells=[*row.cells[:columns], *[""] * (columns - len(row.cells)), end])


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lstrip("\ufeff#").strip().lower())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None
