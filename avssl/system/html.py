"""Pieces of HTML for notebooks, all values escaped: file names may hold anything."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; cells are text, or Markup that stays as it is."""
    head = _cells(headers, "th") if any(headers) else ""
    body = Markup("").join(Markup("<tr>{}</tr>").format(_cells(row, "td")) for row in rows)
    return Markup("<table>{}{}</table>").format(Markup("<tr>{}</tr>").format(head) if head else "", body)


def facts_table(facts: Mapping[str, object]) -> Markup:
    """Names and values, a line each; those without a value are left out."""
    there = {name: value for name, value in facts.items() if value not in ("", None)}
    return table([], [(Markup("<b>{}</b>").format(name), value) for name, value in there.items()])


def section(title: str, *parts: object) -> Markup:
    """Parts below each other, under a line."""
    inner = Markup("").join(Markup("<div>{}</div>").format(_readable(part)) for part in parts if part)
    return Markup("<div><b>{}</b>{}</div>").format(_readable(title), inner)


def unbroken(text: str) -> Markup:
    """A text that stays on one line, such as a figure with its interval."""
    return Markup('<span style="white-space:nowrap">{}</span>').format(_readable(text))


def folded(summary: str, part: object) -> Markup:
    """A part that is seen once its summary is pressed."""
    return Markup("<details><summary>{}</summary>{}</details>").format(_readable(summary), _readable(part))


def thumbnail(pixels: NDArray[np.uint8], height: int) -> Markup:
    """A picture uint8 (3, h, w), at most ``height`` pixels high."""
    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((4 * height, height))  # a panorama is made no wider than four squares
    return picture(image, "JPEG")


def picture(image: Image.Image, kind: str = "PNG") -> Markup:
    """A picture that needs no file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    data = base64.b64encode(buffer.getvalue()).decode()
    # No wider than its cell: curves are drawn twice as wide, for screens of many pixels.
    style = "max-width:100%;height:auto"
    return Markup('<img src="data:image/{};base64,{}" width="{}" height="{}" style="{}">').format(
        kind.lower(), data, image.width, image.height, style
    )


def waveform(samples: NDArray[np.float32], width: int = 480, height: int = 60) -> Markup:
    """The envelope of a sound, as loud as full scale is high."""
    # Highest and lowest sample of each pixel's width: a mean would show a loud sound as silence.
    edges = np.linspace(0, len(samples), width + 1).astype(int)
    parts = [samples[first:stop] for first, stop in pairwise(edges) if stop > first]
    middle = height / 2
    lines = "".join(
        f"M{x} {middle - middle * float(part.max()):.1f}V{middle - middle * float(part.min()):.1f}"
        for x, part in enumerate(parts)
    )
    return Markup(
        '<svg width="{0}" height="{1}" viewBox="0 0 {0} {1}" stroke="currentColor"><path d="M0 {2}H{0}" opacity=".3"/>'
        '<path d="{3}"/></svg>'
    ).format(width, height, middle, lines)


def _cells(cells: Sequence[object], tag: str) -> Markup:
    return Markup("").join(Markup("<{0}>{1}</{0}>").format(Markup(tag), _readable(cell)) for cell in cells)


def _readable(cell: object) -> object:
    """Names of files need not be UTF-8, a page must be."""
    return cell if isinstance(cell, Markup) else str(cell).encode("utf-8", "replace").decode()
