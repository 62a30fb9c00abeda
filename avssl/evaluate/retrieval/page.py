"""What retrieval finds, as one self-contained page: frames that one sees, sounds that one plays, no network needed."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.retrieval.protocol import Embedded, Moments
from avssl.media.facts import Media

SIDE = 176
"""The longer side of a frame on the page, in pixels."""

RATE = 16000
SECONDS = 2.0
"""Of sound around a moment that can be played."""


def retrieval_page(
    media: Media,
    moments: Moments,
    embedded: Embedded,
    rows: Sequence[ResultRow],
    title: str,
    *,
    queries: int = 8,
    found: int = 5,
) -> str:
    """The page as HTML: some queries each way with what is nearest to them, and the table of figures.

    Args:
        embedded: of the trained model.
        rows: the figures.
        title: a line above.
        queries: moments, at equal distances through the collection.
        found: nearest ones that are shown of each.
    """
    chosen = np.unique(np.linspace(0, len(moments.items) - 1, min(queries, len(moments.items))).round().astype(int))
    likeness = embedded.image @ embedded.sound.T
    used: set[int] = set()
    sections: list[str] = []
    for heading, scores in (("From a picture to sounds", likeness), ("From a sound to pictures", likeness.T)):
        lines = [_line(media, moments, int(q), scores[q], found, used) for q in chosen]
        sections.append(f"<h2>{heading}</h2>\n" + "\n".join(lines))
    sounds = {str(k): _data("audio/wav", wav(_sound(media, moments, k), RATE)) for k in sorted(used)}
    return _PAGE.format(
        title=escape(title), table=_table(rows), sections="\n".join(sections), sounds=json.dumps(sounds), legend=_LEGEND
    )


def wav(waveform: NDArray[np.float32], rate: int) -> bytes:
    """Mono sound, full scale ±1, as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _line(media: Media, moments: Moments, query: int, scores: NDArray[np.float64], found: int, used: set[int]) -> str:
    nearest = np.argsort(-scores, kind="stable")[:found]
    used.update([query, *map(int, nearest)])
    cards = [_card(media, moments, query, query, "query", "")]
    for place, k in enumerate(map(int, nearest), start=1):
        cards.append(_card(media, moments, query, k, _relation(moments, query, k), f"{place}. {scores[k]:.2f}"))
    return f'<div class="line">{"".join(cards)}</div>'


def _relation(moments: Moments, query: int, k: int) -> str:
    if moments.sources[query] == moments.sources[k]:
        return "partner"
    return "kind" if moments.kinds[query] & moments.kinds[k] else "other"


def _card(media: Media, moments: Moments, query: int, k: int, relation: str, caption: str) -> str:
    facts = media.facts(moments.items[k])
    kinds = ", ".join(sorted(moments.kinds[k])) or facts.path.rsplit("/", 1)[-1]
    place = f"{facts.path.rsplit('/', 1)[-1]} at {moments.seconds[k]:.1f} s"
    frame = _data("image/jpeg", _jpeg(media.frames(moments.items[k], [moments.seconds[k]])[0]))
    return (
        f'<figure class="{relation}"><img src="{frame}" alt="{escape(place)}" title="{escape(place)}">'
        f"<figcaption>{escape(caption)} {escape(kinds)}</figcaption>"
        f'<button type="button" data-sound="{k}" aria-label="play {escape(place)}">&#9654; play</button></figure>'
    )


def _sound(media: Media, moments: Moments, k: int) -> NDArray[np.float32]:
    return media.audio(moments.items[k], moments.seconds[k] - SECONDS / 2, SECONDS, RATE)


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _table(rows: Sequence[ResultRow]) -> str:
    lines = [
        f"<tr><td>{escape(row.name)}</td><td>{escape(row.metric)}</td><td>{_cell(row.value, row)}</td>"
        f"<td>{_cell(row.low, row)} – {_cell(row.high, row)}</td>"
        f"<td>{'' if row.chance is None else _cell(row.chance, row)}</td><td>{row.n}</td></tr>"
        for row in rows
    ]
    head = "<tr><th></th><th>metric</th><th>value</th><th>95 % interval</th><th>chance</th><th>N</th></tr>"
    return f'<div class="wide"><table>{head}{"".join(lines)}</table></div>'


def _cell(value: float, row: ResultRow) -> str:
    return f"{100 * value:.1f} %" if row.metric.startswith("recall") else f"{value:.3g}"


_LEGEND = (
    '<span class="partner">the query\'s own other half</span> <span class="kind">same kind</span> '
    '<span class="other">another kind</span>; numbers are cosines'
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }}
h1 {{ font-size: 1.35rem; overflow-wrap: anywhere; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.line {{ display: flex; flex-wrap: wrap; gap: .6rem; padding: .6rem 0; border-bottom: 1px solid #e4e4e4; }}
figure {{ margin: 0; padding: .3rem; width: 11.4rem; border: 3px solid #d8d8d8; border-radius: 6px; }}
figure.query {{ border-color: #222; margin-right: 1rem; }}
.wide {{ overflow-x: auto; }}
@media (max-width: 40rem) {{
  figure, figure.query {{ width: calc(50% - .3rem); margin: 0; box-sizing: border-box; }}
  body {{ padding: 0 .8rem; }} td, th {{ padding-right: .5rem; }}
}}
figure.partner {{ border-color: #2e8b57; }} figure.kind {{ border-color: #2f6fad; }}
span.partner {{ color: #2e8b57; }} span.kind {{ color: #2f6fad; }} span.other {{ color: #777; }}
img {{ display: block; width: 100%; height: 8rem; object-fit: contain; background: #f4f4f4; }}
figcaption {{ font-size: .82rem; overflow-wrap: anywhere; min-height: 2.4em; }}
button {{ font: inherit; font-size: .85rem; padding: .15rem .6rem; cursor: pointer; }}
button.playing {{ background: #2f6fad; color: white; }}
table {{ border-collapse: collapse; font-size: .85rem; }} td, th {{ padding: .15rem .8rem .15rem 0; text-align: left; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{legend}</p>
{sections}
<h2>Figures</h2>
{table}
<script>
const sounds = {sounds};
const player = new Audio();
let button = null;
const still = () => {{ if (button) button.classList.remove("playing"); button = null; }};
player.addEventListener("ended", still);
document.addEventListener("click", event => {{
  const pressed = event.target.closest("button[data-sound]");
  if (!pressed) return;
  const again = pressed === button;
  player.pause(); still();
  if (again) return;
  button = pressed;
  button.classList.add("playing");
  player.src = sounds[pressed.dataset.sound];
  player.play().catch(still);
}});
</script>
</body>
</html>
"""
