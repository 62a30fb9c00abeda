"""Published lists of clips on YouTube and Flickr, as the clips to fetch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avssl.errors import UserError
from avssl.media.indexing.clip_table_formats import Row, is_table, read_table, table_bytes

YOUTUBE = "https://www.youtube.com/watch?v={id}"
# yt-dlp asks Flickr's interface for the id alone, so that any owner will do where a list does not say whose it is.
FLICKR = "https://www.flickr.com/photos/{owner}/{id}"

# Of the 34 classes of Arandjelović & Zisserman (2017), "Look, Listen and Learn", who published no list, those that
# Kinetics-400 kept, as followers of OGM-GE (Peng et al., CVPR 2022) list them; SeLaVi (Asano et al., NeurIPS 2020,
# datasets/AVideoDataset.py) has one more.
KINETICS_SOUNDS = (
    "blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing",
    "mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet", "playing drums",
    "playing guitar", "playing harmonica", "playing keyboard", "playing organ", "playing piano", "playing saxophone",
    "playing trombone", "playing trumpet", "playing violin", "playing xylophone", "ripping paper", "shoveling snow",
    "shuffling cards", "singing", "stomping grapes", "tap dancing", "tapping guitar", "tapping pen", "tickling",
)  # fmt: skip
LABEL_SETS = {
    "kinetics-sounds": KINETICS_SOUNDS,
    "kinetics-sounds-32": (*KINETICS_SOUNDS, "strumming guitar"),
}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # becomes a file's name
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_FLICKR_LINE = re.compile(r"(\d{6,})(?:\s*,.*)?")
_FLICKR_ADDRESS = re.compile(r"https?://(?:www\.)?flickr\.com/(?:videos|photos)/([^/\s]+)/(\d+)(?:/\S*)?")
_AVE_COLUMNS = ("category", "videoid", "quality", "starttime", "endtime")


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a video.

    Attributes:
        video: its id.
        start: seconds; None is the whole video, or its beginning.
        seconds: how long; None is to the end.
        stem: the name of its file, without the suffix.
        address: with ``{id}`` for the id.
    """

    video: str
    start: float | None
    seconds: float | None
    label: str
    split: str
    stem: str
    address: str = YOUTUBE


def read_list(path: Path, starts: Sequence[Path] = ()) -> tuple[list[Clip], list[str]]:
    """The clips of a published list, each once, and a line about each row that names none.

    Args:
        path: VGGSound's, AudioSet's, Kinetics', AVE's or Flickr-SoundNet's list, or a table with a column of ids.
        starts: AudioSet's lists, which say where AVE's clips begin.

    Raises:
        UserError: it is none of these; AVE's list without ``starts``.
    """
    clips, refused = _flickr(path) or (_ave if _is_ave(path) else _table)(path, starts)
    if not clips:
        raise UserError(f"{path}: names no clip that could be fetched ({refused[0] if refused else 'it is empty'})")
    return list({clip.stem: clip for clip in reversed(clips)}.values())[::-1], refused


def with_labels(clips: Sequence[Clip], labels: Sequence[str]) -> list[Clip]:
    """The clips that have one of these labels, or of the set of this name."""
    wanted = {name for label in labels for name in LABEL_SETS.get(label, (label,))}
    return [clip for clip in clips if clip.label in wanted or wanted & {each.strip() for each in clip.label.split(",")}]


def _table(path: Path, starts: Sequence[Path]) -> tuple[list[Clip], list[str]]:
    table = read_table(path)
    if not table.by_video:
        raise UserError(f"{path}: names files, not videos to fetch; avssl takes it as --data as it is")
    found = [_clip(row, path) for row in table.rows]
    return [clip for clip in found if isinstance(clip, Clip)], [line for line in found if isinstance(line, str)]


def _clip(row: Row, path: Path) -> Clip | str:
    video = row.get("video")
    if not _ID.fullmatch(video):
        return f"{path}: line {row.line} has no id of a video ({video[:40]!r})"
    begin, end, length = (_seconds(row.get(what)) for what in ("start", "end", "duration"))
    if "" in (begin, end, length):
        return f"{path}: line {row.line} has seconds that are no numbers"
    start, stop, lasting = (None if isinstance(value, str) else value for value in (begin, end, length))
    if lasting is None and start is not None and stop is not None:
        lasting = stop - start
    if lasting is not None and lasting <= 0:
        return f"{path}: line {row.line} ends where it begins"
    return Clip(video, start, lasting, row.get("label"), row.get("split"), _stem(video, start))


def _seconds(text: str) -> float | str | None:
    """None for an empty cell, "" for one that is no time."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return ""
    return value if 0 <= value < 1e6 else ""


def _stem(video: str, start: float | None) -> str:
    """As the lists' download scripts name it: seconds in six digits; where they are no whole ones, milliseconds."""
    if start is None:
        return video
    return f"{video}_{int(start):06d}" if start == int(start) else f"{video}_{round(start * 1000)}"


def _first_lines(path: Path) -> list[str]:
    text = table_bytes(path)[:4000].decode("utf-8-sig", "replace")
    return [line.strip() for line in text.splitlines()[:20] if line.strip()]


def _is_ave(path: Path) -> bool:
    first = _first_lines(path)[:1]
    cells = first[0].split("&") if first else []
    return len(cells) == len(_AVE_COLUMNS) and (
        is_table(path) or tuple(cell.strip().lower() for cell in cells) == _AVE_COLUMNS
        or bool(_YOUTUBE_ID.fullmatch(cells[1].strip()))
    )  # fmt: skip


def _ave(path: Path, starts: Sequence[Path]) -> tuple[list[Clip], list[str]]:
    """AVE's seconds say when the event is within a clip of AudioSet, not where that clip lies in the video."""
    if not starts:
        raise UserError(
            f"{path}: AVE's list says when its events are, not where its clips begin in their videos; give AudioSet's "
            "lists, which do: --starts balanced_train_segments.csv,eval_segments.csv,unbalanced_train_segments.csv"
        )
    lines = [line.split("&") for line in table_bytes(path).decode("utf-8-sig", "replace").splitlines() if line.strip()]
    rows = [[cell.strip() for cell in cells] for cells in lines if cells[0].strip().lower() != _AVE_COLUMNS[0]]
    split = {"trainset": "train", "valset": "val", "testset": "test"}.get(path.stem.lower(), "")
    wanted = {cells[1]: cells[0] for cells in rows if len(cells) == len(_AVE_COLUMNS)}
    known = {clip.video: clip for each in starts for clip in _table(each, ())[0] if clip.video in wanted}
    refused = [f"{path}: {video} is in none of --starts" for video in wanted if video not in known]
    clips = [
        replace(known[video], label=label, split=split, stem=video) for video, label in wanted.items() if video in known
    ]
    return clips, refused


def _flickr(path: Path) -> tuple[list[Clip], list[str]] | None:
    """SoundNet's list of addresses, or a list of ids ("ID", "ID.mp4" or "ID,frame"); None if it is neither."""
    first = _first_lines(path)[:1]
    if not first or _flickr_clip(first[0]) is None:
        return None
    found = list(_flickr_rows(path))
    return [clip for clip in found if isinstance(clip, Clip)], [line for line in found if isinstance(line, str)]


def _flickr_rows(path: Path) -> Iterator[Clip | str]:
    for number, line in enumerate(table_bytes(path).decode("utf-8-sig", "replace").splitlines(), 1):
        if line.strip():
            yield _flickr_clip(line.strip()) or f"{path}: line {number} is no address or id of Flickr ({line[:40]!r})"


def _flickr_clip(line: str) -> Clip | None:
    address = _FLICKR_ADDRESS.fullmatch(line)
    if address:
        owner, video = address.groups()
        return Clip(video, None, None, "", "", video, FLICKR.replace("{owner}", owner))
    plain = _FLICKR_LINE.fullmatch(re.sub(r"\.(mp4|jpg)(?=$|,)", "", line))
    return Clip(plain[1], None, None, "", "", plain[1], FLICKR.replace("{owner}", "_")) if plain else None
