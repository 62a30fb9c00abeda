"""Sheets of queries with their nearest neighbours, and a chart of what neighbours share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from avssl.evaluate.core.charts import TONES, blank_figure, dress, save_figure
from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.core.side_by_side import save_png
from avssl.evaluate.data.features import inputs
from avssl.evaluate.neighbors.protocol import Neighbors
from avssl.evaluate.neighbors.query_items import QueryItems
from avssl.networks.encoder import Encoder, is_waveform_encoder
from avssl.networks.front_end import FrontEnd, FrontEndConfig
from avssl.samplers.keys import generator
from avssl.samplers.pictures import centre_crop, cut
from avssl.tasks.cards import INK, NO, PALE, PAPER, YES, enlarged, fitted, font, framed, picture_of

COLOURS = {"trained": TONES["train"], "supervised": TONES["other-0"]}
OTHERS = (TONES["random"], TONES["other-1"], TONES["other-2"], TONES["run-6"])
# The longer side of a neighbour, in pixels; the query is twice as large
CELL = 72

_GAP, _MARGIN, _TITLE, _LABEL, _CAPTION = 5, 16, 58, 160, 15

Thumbnail = Callable[[int], Image.Image]


def choose_queries(sources: Sequence[str], labels: Sequence[str] | None, count: int, seed: int) -> list[int]:
    """So many items of different sources, drawn by the seed, the labels in turn."""
    order = generator(seed, "queries").permutation(len(sources)).tolist()
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for place, i in enumerate(order):
        label = "" if labels is None else labels[i]
        ranked.append((turns.setdefault(label, 0), place, i))
        turns[label] += 1
    chosen: list[int] = []
    used: set[str] = set()
    # The first of each label, then the second of each, as long as their sources are new
    for _, _, i in sorted(ranked):
        if sources[i] not in used and len(chosen) < count:
            chosen.append(i)
            used.add(sources[i])
    return chosen


def draw_grid(
    queries: Sequence[int],
    found: Mapping[str, Neighbors],
    thumbnail: Thumbnail,
    labels: Sequence[str] | None,
    path: Path,
    title: str,
    *,
    across: int = 2,
) -> None:
    """Each query with a line of neighbours for each encoder; the frame's colour shows whether they have its label.

    Of what an encoder is called, what follows a colon or a comma goes to a line of its own; ``across`` queries stand
    beside each other.
    """
    k = next(iter(found.values())).indices.shape[1]
    step = CELL + _GAP
    line = CELL + (_CAPTION if labels is not None else 0) + _GAP
    height = max(len(found) * line, 2 * CELL + _CAPTION + _GAP) + 2 * _GAP
    across = max(1, min(across, len(queries)))
    large, small, tiny = font(18), font(13), font(11)
    lines = {name: re.split("[:,] ", name) for name in found}
    room = min(_LABEL, max(round(small.getlength(text)) for texts in lines.values() for text in texts)) + 2 * _GAP
    width = 2 * CELL + 2 * _GAP + room + k * step
    size = [across * (width + _MARGIN) + _MARGIN, _TITLE + -(-len(queries) // across) * height + _MARGIN]
    size[0] = max(size[0], 2 * _MARGIN + round(large.getlength(title)))
    sheet = Image.new("RGB", (size[0], size[1]), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 10), title, INK, large)
    legend = "The query, and what is nearest to it in the features of each encoder, in order; each from another source."
    legend += "" if labels is None else " Green: of the query's label."
    pen.text((_MARGIN, 35), legend, PALE, tiny)
    for number, query in enumerate(queries):
        left = _MARGIN + (number % across) * (width + _MARGIN)
        top = _TITLE + (number // across) * height
        picture = enlarged(thumbnail(query), 2 * CELL)
        sheet.paste(picture, (left, top))
        if labels is not None:
            pen.text((left, top + picture.height + 1), fitted(labels[query], small, 2 * CELL), INK, small)
        for row, (name, one) in enumerate(found.items()):
            y = top + row * line
            start = left + 2 * CELL + 2 * _GAP
            for down, text in enumerate(lines[name]):
                letters, ink = (tiny, PALE) if down else (small, INK)
                pen.text((start, y + CELL // 4 - 4 + 16 * down), fitted(text, letters, _LABEL), ink, letters)
            for column, place in enumerate(one.indices[query].tolist()):
                x = start + room + column * step
                near = enlarged(thumbnail(place), CELL)
                if labels is not None:
                    near = framed(near, YES if labels[place] == labels[query] else NO, 2)
                    pen.text((x, y + near.height), fitted(labels[place], tiny, CELL), PALE, tiny)
                sheet.paste(near, (x, y))
    save_png(sheet, path)


def thumbnails(query_items: QueryItems, chosen: Sequence[int], encoder: Encoder) -> dict[int, Image.Image]:
    """Pictures of some items by number: what a vision encoder is shown, or the spectrogram that an audio encoder is."""
    if is_waveform_encoder(encoder):
        waveforms = np.concatenate([inputs(encoder, query_items, i, 1) for i in chosen])
        front_end = encoder.front_end or FrontEnd(FrontEndConfig(rate=encoder.rate))
        return dict(zip(chosen, spectrograms(front_end, waveforms), strict=True))
    found: dict[int, Image.Image] = {}
    for i in chosen:
        frame = query_items.frames(i, [0.0])[0]
        found[i] = picture_of(cut(frame, centre_crop(frame.shape[1], frame.shape[2], 1.0), 2 * CELL))
    return found


def spectrograms(front_end: FrontEnd, waveforms: NDArray[np.float32]) -> list[Image.Image]:
    """Waveforms (n, samples) as pictures of their log-spectrograms on one scale, low frequencies below."""
    from matplotlib import colormaps

    with torch.no_grad():
        cells = front_end.raw(torch.from_numpy(waveforms)).numpy()
    # One scale for all pictures; the ends are cut, since a single loud cell would darken the rest.
    low, high = np.percentile(cells, [5, 99.8])
    shades = ((cells - low) / max(high - low, 1e-6)).clip(0, 1)[:, ::-1]
    pictures = [Image.fromarray((colormaps["magma"](shade)[..., :3] * 255).astype(np.uint8)) for shade in shades]
    return [picture.resize((2 * CELL, round(1.5 * CELL)), Image.Resampling.BILINEAR) for picture in pictures]


def draw_shared(rows: Sequence[ResultRow], path: Path, title: str, words: Mapping[str, str]) -> bool:
    """A bar with its interval for each encoder and attribute of the rows "shared"; returns whether there were any.

    ``words`` says what an encoder is called in the legend, by its name in the rows.
    """
    bars = {tuple(row.name.rsplit("/", 1)): row for row in rows if row.metric == "shared"}
    if not bars:
        return False
    names = list(dict.fromkeys(name for name, _ in bars))
    attributes = list(dict.fromkeys(attribute for _, attribute in bars))
    figure = blank_figure(max(6.0, 0.9 * len(attributes) + 2), 4.2)
    axes = figure.subplots()
    spare, colours = iter(OTHERS * len(names)), dict[str, str]()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        some = [bars[name, attribute] for attribute in attributes]
        values = [row.value for row in some]
        reach = [[max(0.0, row.value - row.low) for row in some], [max(0.0, row.high - row.value) for row in some]]
        pale = name.endswith("random")  # in the colour of the encoder whose twin it is
        colour = colours[name] = (
            _paler(colours.get(name.removesuffix("-random"), colours.get("trained", PALE)))
            if pale
            else COLOURS.get(name) or next(spare)
        )
        places = np.arange(len(attributes)) + (number - (len(names) - 1) / 2) * width
        axes.bar(places, values, 0.92 * width, yerr=reach, color=colour, capsize=2, label=words.get(name, name),
                 hatch="////" if pale else None, edgecolor="white", linewidth=0.4,
                 error_kw={"elinewidth": 0.9, "ecolor": INK})  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.set_xticks(range(len(attributes)), attributes, fontsize=9)
    axes.set_ylabel("shared with neighbours\n(0: as random items, 1: equal)", fontsize=9, color=INK)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_ylim(top=min(1.05, 1.12 * max(row.high for row in bars.values()) + 0.02))
    dress(axes)
    figure.legend(loc="outside lower left", ncols=2, edgecolor="none", fontsize=8.5, labelcolor=INK)
    save_figure(figure, path)
    return True


def _paler(colour: str) -> str:
    """Two thirds of the way to white."""
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - part) / 3):02x}" for part in parts)
