"""Search results: a table on the screen, and a page with frames to see and sounds to play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from avssl.errors import MediaError
from avssl.report.embedded import data_url, jpeg, wav
from avssl.report.page import environment
from avssl.report.tables import console, plain_table, table_width
from avssl.search.index import SOUND_RATE, Found, SearchIndex
from avssl.search.query import Query
from avssl.search.rows import Kind
from avssl.system.console import visible_name
from avssl.version import __version__

WORDS: dict[Kind, str] = {"image": "pictures", "audio": "sounds"}

SHORTEST_NAME = 12
"""Characters of a path that are left where there is little room."""

Moments = Mapping[Kind, Sequence[Found]]


def share_text(share: float) -> str:
    """The share of unrelated pairs that lie below, for people; "–" where it is not known."""
    return "–" if np.isnan(share) else f"{100 * share:.2f} %"


def print_found(query: Query, found: Moments, file: IO[str] | None = None, width: int | None = None) -> None:
    """A table a kind; files below the current folder are named from there, and long names shortened at their beginnings
    until it fits."""
    screen = console(file, width)
    for kind, several in found.items():
        half, name = "picture" if query.of == "image" else "sound", visible_name(Path(query.path).name)
        title = f"{WORDS[kind]} nearest to the {half} of {name}"
        rest = [
            [
                one.moment.label or "",
                f"{one.moment.file_seconds:.2f} s",
                f"{one.score:.3f}",
                share_text(one.share_below),
            ]
            for one in several
        ]
        headers = ["", "file", "label", "at", "score", "above"]
        if not any(row[0] for row in rest):
            headers, rest = [*headers[:2], *headers[3:]], [row[1:] for row in rest]
        names = [visible_name(_from_here(one.moment.path)) for one in several]
        table = _table(title, headers, names, rest)
        excess = table_width(table, screen) - screen.width
        if excess > 0:
            room = max(*map(len, names), SHORTEST_NAME + excess) - excess
            table = _table(title, headers, [_shortened(name, room) for name in names], rest)
        screen.print(table)


def _table(title: str, headers: Sequence[str], names: Sequence[str], rest: Sequence[Sequence[str]]) -> Table:
    rows = [[str(n), name, *cells] for n, (name, cells) in enumerate(zip(names, rest, strict=True), start=1)]
    return plain_table(headers, rows, title, right={0, *range(len(headers) - 3, len(headers))})


def search_sheet(index: SearchIndex, query: Query, found: Moments) -> str:
    """The page as HTML; it needs nothing from elsewhere.

    A moment whose file is gone is shown without picture and sound, with the reason.
    """
    sounds: dict[str, str] = {}
    sections = [
        (WORDS[kind].capitalize(), [_card(index, one, place, sounds) for place, one in enumerate(several, start=1)])
        for kind, several in found.items()
    ]
    return environment().get_template("search.html").render(
        title=f"Search: {Path(query.path).name}",
        query=_query_card(query, sounds),
        sections=sections,
        sounds=sounds,
        index=str(index.path),
        count=len(index),
        version=__version__,
    )  # fmt: skip


def _from_here(path: str) -> str:
    """As whoever stands in the current folder would type it, if it lies below that."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _shortened(path: str, room: int) -> str:
    return path if len(path) <= room else "…" + path[1 - room :]


def _card(index: SearchIndex, one: Found, place: int, sounds: dict[str, str]) -> dict[str, Any]:
    moment = one.moment
    card: dict[str, Any] = {
        "place": f"{place}.",
        "name": Path(moment.path).name,
        "path": moment.path,
        "label": moment.label or "",
        "at": f"{moment.file_seconds:.2f} s",
        "score": f"{one.score:.3f}",
        "above": share_text(one.share_below),
        "frame": "",
        "spectrogram": "",
        "sound": "",
        "reason": "",
    }
    try:
        if moment.has_image:
            card["frame"] = data_url("image/jpeg", jpeg(index.frame(moment.row)))
        if moment.has_audio:
            card |= _heard(f"row-{moment.row}", index.waveform(moment.row), SOUND_RATE, sounds)
    except MediaError as error:
        card["reason"] = error.reason
    return card


def _query_card(query: Query, sounds: dict[str, str]) -> dict[str, Any]:
    at = "" if query.seconds is None else f"{query.seconds:.2f} s"
    card = {"name": Path(query.path).name, "path": query.path, "at": at, "frame": "", "spectrogram": "", "sound": ""}
    if query.rate is not None:
        card |= _heard("query", query.content, query.rate, sounds)
    elif query.content.ndim == 3:
        card["frame"] = data_url("image/jpeg", jpeg(query.content))
    return card


def _heard(name: str, waveform: NDArray[np.float32], rate: int, sounds: dict[str, str]) -> dict[str, str]:
    """The picture of a sound, and the sound itself under its name."""
    sounds[name] = data_url("audio/wav", wav(waveform, rate))
    return {"spectrogram": data_url("image/jpeg", jpeg(spectrogram(waveform, rate))), "sound": name}


def spectrogram(waveform: NDArray[np.float32], rate: int) -> NDArray[np.uint8]:
    """A sound (samples,) as a picture of its log-spectrogram, low frequencies below: uint8 (3, 96, 176)."""
    from matplotlib import colormaps
    from PIL import Image
    from scipy.signal import stft

    window = max(rate // 40, 16)  # 25 ms
    padded = np.pad(waveform, (0, max(window - len(waveform), 0)))
    _, _, cells = stft(padded, rate, nperseg=window, noverlap=window * 3 // 5)
    decibels = 20 * np.log10(
        np.abs(cells[: len(cells) // 2]) + 1e-5
    )  # up to a quarter of the rate: most of what is heard
    shades = ((decibels - decibels.max() + 70) / 70).clip(0, 1)[::-1]  # 70 dB below the loudest are black
    picture = Image.fromarray((colormaps["magma"](shades)[..., :3] * 255).astype(np.uint8))
    return np.asarray(picture.resize((176, 96), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
