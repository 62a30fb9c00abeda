"""What retrieval finds, as one self-contained page: frames to see and sounds to play, without network access."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.retrieval.protocol import Embedded, Pairs
from avssl.media.facts import Media
from avssl.report.bars import bar_table
from avssl.report.embedded import data_url, jpeg, wav
from avssl.report.page import environment
from avssl.version import __version__

RATE = 16000  # enough to hear what it is; the page holds all sounds in itself
SECONDS = 2.0  # Of sound around a frame that can be played


def retrieval_page(
    media: Media,
    pairs: Pairs,
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
        queries: pairs, at equal distances through the collection.
        found: nearest ones that are shown of each.
    """
    # At equal distances: the order of a collection often goes by kind.
    chosen = np.unique(np.linspace(0, len(pairs.items) - 1, min(queries, len(pairs.items))).round().astype(int))
    likeness = embedded.image @ embedded.sound.T
    used: set[int] = set()
    sections = [
        (heading, [_row(media, pairs, int(q), scores[q], found, used) for q in chosen])
        for heading, scores in (("From a picture to sounds", likeness), ("From a sound to pictures", likeness.T))
    ]
    sounds = {}
    for k in sorted(used):
        waveform = media.audio(pairs.items[k], pairs.seconds[k] - SECONDS / 2, SECONDS, RATE)
        sounds[str(k)] = data_url("audio/wav", wav(waveform, RATE))
    template = environment().get_template("retrieval.html")
    return template.render(
        title=title, sections=sections, table=bar_table([("", rows)]), sounds=sounds, version=__version__
    )


def _row(
    media: Media, pairs: Pairs, query: int, scores: NDArray[np.float64], found: int, used: set[int]
) -> list[dict[str, object]]:
    """The query and what is nearest to it, as the template needs them."""
    nearest = np.argsort(-scores, kind="stable")[:found]
    used.update([query, *map(int, nearest)])
    cards = [_card(media, pairs, query, "query", "")]
    for place, k in enumerate(map(int, nearest), start=1):
        cards.append(_card(media, pairs, k, _relation(pairs, query, k), f"{place}. {scores[k]:.2f}"))
    return cards


def _relation(pairs: Pairs, query: int, k: int) -> str:
    if pairs.sources[query] == pairs.sources[k]:
        return "partner"
    return "kind" if pairs.kinds[query] & pairs.kinds[k] else "other"


def _card(media: Media, pairs: Pairs, k: int, relation: str, rank: str) -> dict[str, object]:
    facts = media.facts(pairs.items[k])
    name = facts.path.rsplit("/", 1)[-1]
    return {
        "relation": relation,
        "rank": rank,
        "kinds": ", ".join(sorted(pairs.kinds[k])) or name,
        "place": f"{name} at {pairs.seconds[k]:.1f} s",
        "frame": data_url("image/jpeg", jpeg(media.frames(pairs.items[k], [pairs.seconds[k]])[0])),
        "sound": k,
    }
