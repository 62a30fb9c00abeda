"""Items through the network: all their moments, decoded in other processes, several items in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.retrieval.embedding import PIXELS, row_times
from avssl.media.facts import Media
from avssl.search.decoding import Decoded, Wanted, decoded
from avssl.search.rows import Kind

if TYPE_CHECKING:
    from avssl.networks.model import Model

BATCH = 64
"""Moments of one or of several items that go through the network together."""

JOB_MOMENTS = 32
"""Of one item that are decoded by one job, at most."""


@dataclass
class Embedded:
    """Moments of an item, all or some, as they come from the network.

    Attributes:
        item: its number.
        times: the moments, seconds.
        vectors: unit vectors (n, dimensions) of each kind that there is.
    """

    item: int
    times: Sequence[float]
    vectors: dict[Kind, NDArray[np.float32]] = field(default_factory=dict)


def embedded_items(
    media: Media,
    items: Sequence[int],
    spacing: float,
    model: Model,
    workers: int | None,
    skipped: dict[int, str],
    on_progress: Callable[[int, int], None],
) -> Iterator[Embedded]:
    """Items with all their moments, in the order of being done.

    Args:
        media: the collection.
        items: numbers of its items.
        spacing: seconds between the moments of an item.
        model: with a space where picture and sound meet.
        workers: processes that decode; None takes the cores there are, 0 decodes here.
        skipped: gets the items that cannot be embedded, with their reasons.
        on_progress: is called with (done, total) moments.

    Raises:
        UserError: the model has no such space.
    """
    _refuse_without_space(model)
    sound = None if model.audio_encoder is None else (model.audio_encoder.seconds, model.audio_encoder.rate)
    jobs: list[Wanted] = []
    counts: dict[int, int] = {}
    for i in items:
        facts = media.facts(i)
        times = row_times(facts, spacing)
        # A long film is many jobs, so that all cores work on it; one of 4K frames takes no more memory than others.
        size = max(1, min(JOB_MOMENTS, PIXELS // max(1, facts.width * facts.height)))
        frames = model.vision is not None and facts.kind != "sound"
        parts = [times[first : first + size] for first in range(0, len(times), size)]
        jobs += [Wanted(i, part, frames, sound if facts.has_sound else None) for part in parts]
        counts[i] = len(parts)
    done: dict[int, list[Embedded]] = {}
    total, count = sum(len(job.times) for job in jobs), 0
    for part in _embedded(media, model, jobs, workers, skipped):
        count += len(part.times)
        on_progress(count, total)
        own = done.setdefault(part.item, [])
        own.append(part)
        if len(own) == counts[part.item]:
            del done[part.item]
            if part.item not in skipped:
                yield _joined(own)


def _refuse_without_space(model: Model) -> None:
    """
    Raises:
        UserError: the model has no space where picture and sound meet.
    """
    if model.fusion is None:
        raise UserError(
            "this run has no space where picture and sound meet; take a run of: avssl train av-correspondence"
        )


def _embedded(
    media: Media, model: Model, jobs: Sequence[Wanted], workers: int | None, skipped: dict[int, str]
) -> Iterator[Embedded]:
    """The vectors of all jobs; several small ones go through the network together."""
    waiting: list[tuple[Wanted, Decoded]] = []
    for place, found in decoded(media, jobs, workers):
        job = jobs[place]
        if isinstance(found, str):
            skipped[job.item] = found
            yield Embedded(job.item, job.times)
            continue
        waiting.append((job, found))
        if sum(len(one.times) for one, _ in waiting) >= BATCH:
            yield from _finite(skipped, _through(model, waiting))
            waiting = []
    yield from _finite(skipped, _through(model, waiting))


def _finite(skipped: dict[int, str], parts: Sequence[Embedded]) -> Sequence[Embedded]:
    """The parts; items with vectors that nothing can be compared with are skipped."""
    for part in parts:
        if not all(np.isfinite(vectors).all() for vectors in part.vectors.values()):
            skipped[part.item] = "the network's output for it is NaN or infinite"
    return parts


def _through(model: Model, waiting: Sequence[tuple[Wanted, Decoded]]) -> list[Embedded]:
    import torch

    parts = [Embedded(job.item, job.times) for job, _ in waiting]
    seen = [(part, found.frames) for part, (_, found) in zip(parts, waiting, strict=True) if found.frames is not None]
    if seen:
        frames = torch.cat([model.prepare_frames(frames) for _, frames in seen])
        _share("image", [part for part, _ in seen], model.image(frames))
    heard = [(part, found.sounds) for part, (_, found) in zip(parts, waiting, strict=True) if found.sounds is not None]
    if heard:
        assert model.audio_encoder is not None
        sounds = np.concatenate([sounds for _, sounds in heard])
        _share("audio", [part for part, _ in heard], model.audio(sounds, model.audio_encoder.rate))
    return parts


def _share(kind: Kind, parts: Sequence[Embedded], vectors: Any) -> None:
    """Unit vectors to the parts that they are of, in order."""
    import torch

    # Normalised in double: float32 lengths are off by 1e-7, which shows as cosines above 1.
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1).cpu().numpy().astype(np.float32)
    first = 0
    for part in parts:
        part.vectors[kind] = unit[first : first + len(part.times)]
        first += len(part.times)


def _joined(parts: list[Embedded]) -> Embedded:
    """All moments of an item in order of time: its jobs end in any order."""
    parts.sort(key=lambda part: part.times[0])
    seconds = [time for part in parts for time in part.times]
    return Embedded(
        parts[0].item,
        seconds,
        {kind: np.concatenate([part.vectors[kind] for part in parts]) for kind in parts[0].vectors},
    )
