"""Retrieval of sounds for pictures and pictures for sounds: nDCG@30, recall, median rank, with chance and intervals.

A query is a frame, or the second of sound around it; the gallery is the other half of every such pair. The
partner is any half of the query's own source, since clips of one video are near-duplicates. Relevant for nDCG is what
shares a kind with the query (its label, or in the generated world a kind that sounds), and the partner itself; within a
modality the query's own source is left out of the gallery. Relevance is 0 or 1, the gain linear, the ideal order that
of the whole gallery. Ties count with their expectation, so that a constant embedding gains nothing by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.evaluate.core.rows import Context, ResultRow
from avssl.evaluate.data.features import even_times
from avssl.evaluate.retrieval.metrics import DEPTH, expected_rank, ndcg, ndcg_chance, recall_chance
from avssl.media.facts import Media
from avssl.networks.fusion import Fusion
from avssl.networks.model import Model
from avssl.samplers.keys import generator
from avssl.system.console import Progress, counted

RECALLS = (1, 5, 10)
BATCH = 32
Matrix = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Frames of a collection, each with the sound around it, whose halves are looked for."""

    items: Sequence[int]  # number of the item of each, (n,)
    seconds: Sequence[float]  # when, (n,)
    sources: Sequence[str]  # what it was cut from
    kinds: Sequence[frozenset[str]]  # what it is of; empty where nothing is known

    @property
    def same_source(self) -> Marks:
        names = np.array(self.sources)
        return np.asarray(names[:, None] == names[None])

    @property
    def relevant(self) -> Marks:
        """(n, n): shares a kind, or the source."""
        classes = sorted(set().union(*self.kinds))
        table = np.array([[name in kinds for name in classes] for kinds in self.kinds], float).reshape(
            len(self.items), -1
        )
        return np.asarray(table @ table.T > 0) | self.same_source


@dataclass(frozen=True)
class Embedded:
    """The two halves of each pair as a model sees them."""

    image: Matrix  # unit vectors (n, 128)
    sound: Matrix  # unit vectors (n, 128)
    own: Matrix  # the network's own score of each frame (row) and sound (column), (n, n)


def find_pairs(media: Media, per_clip: int = 1) -> Pairs:
    """So many pairs of each clip with pictures and sound, each in the middle of its share of the clip.

    Raises:
        UserError: fewer than two sources have both.
    """
    items: list[int] = []
    seconds: list[float] = []
    kinds: list[frozenset[str]] = []
    for i in range(len(media)):
        facts = media.facts(i)
        if not (facts.has_video and facts.has_sound):
            continue
        truth = media.annotation(i)
        # Not the kinds that are seen: what makes no sound has no partner among the sounds
        known = truth["kinds_sounding"] if truth is not None and "kinds_sounding" in truth else [facts.label]
        items += [i] * per_clip
        seconds += even_times(facts, per_clip)
        kinds += [frozenset(str(kind) for kind in known if kind is not None)] * per_clip
    sources = [media.facts(i).source for i in items]
    if len(set(sources)) < 2:
        raise UserError(
            f"retrieval needs clips with picture and sound of at least two sources, not {len(set(sources))}"
        )
    return Pairs(items, seconds, sources, kinds)


@torch.no_grad()
def embed_pairs(model: Model, media: Media, pairs: Pairs, on_progress: Progress | None = None) -> Embedded:
    """The embeddings of the halves of each pair.

    Raises:
        UserError: the run has no pictures, no sound, or nothing that joins them.
    """
    if model.vision is None or model.audio_encoder is None or model.fusion is None:
        raise UserError(
            "this run has no space where picture and sound meet; take a run of: avssl train av-correspondence"
        )
    fusion, length, rate = model.fusion, model.audio_encoder.seconds, model.audio_encoder.rate
    seen: list[torch.Tensor] = []
    heard: list[torch.Tensor] = []
    times = list(zip(pairs.items, pairs.seconds, strict=True))
    for first in range(0, len(times), BATCH):
        some = times[first : first + BATCH]
        frames = torch.cat([model.prepare_frames(media.frames(i, [time])) for i, time in some])
        sounds = np.stack([media.audio(i, time - length / 2, length, rate) for i, time in some])
        seen.append(fusion.embed_vision(model.vision(frames)))
        heard.append(fusion.embed_audio(model.audio_encoder(model.prepare_waveform(sounds, rate))))
        if on_progress is not None:
            on_progress(min(first + BATCH, len(times)), len(times))
    vision, audio = torch.cat(seen), torch.cat(heard)
    return Embedded(_unit(fusion.vectors(vision)), _unit(audio), _own(fusion, vision, audio))


def retrieval_rows(
    embedded: Mapping[str, Embedded], pairs: Pairs, context: Context, recalls: Sequence[int] = RECALLS
) -> list[ResultRow]:
    """Rows NAME/DIRECTION of each model, both ways by cosine of the 128-d vectors and by the network's own score.

    ``shuffled-pairs/…`` are the first model's, with the partners of sources permuted: they must be at chance.
    """
    rows: list[ResultRow] = []
    partner, relevant = pairs.same_source, pairs.relevant
    labelled = any(pairs.kinds)
    for name, one in embedded.items():
        similarity = one.image @ one.sound.T
        ways = {
            f"{name}/image-to-sound": similarity,
            f"{name}/sound-to-image": similarity.T,
            f"{name}/image-to-sound, own score": one.own,
            f"{name}/sound-to-image, own score": one.own.T,
        }
        for label, scores in ways.items():
            rows += _both(label, scores, partner, relevant if labelled else None, pairs, context, recalls)
        if labelled:
            for label, vectors in (("image-to-image", one.image), ("sound-to-sound", one.sound)):
                rows += _within(f"{name}/{label}", vectors, partner, relevant, pairs, context)
    name, one = next(iter(embedded.items()))
    shuffled = _permuted(pairs, context.seed)
    for label, scores in (("image-to-sound", one.image @ one.sound.T), ("sound-to-image", one.sound @ one.image.T)):
        rows += _both(f"shuffled-pairs/{label}", scores, shuffled, None, pairs, context, recalls)
    return rows


def _both(
    name: str,
    scores: Matrix,
    partner: Marks,
    relevant: Marks | None,
    pairs: Pairs,
    context: Context,
    recalls: Sequence[int],
) -> list[ResultRow]:
    """Recall and median rank of the partner, and nDCG where it is known what is relevant."""
    gallery, sources = scores.shape[1], pairs.sources
    about: dict[str, Any] = {"note": _gallery(pairs), "listed": gallery}
    ranks, counts = expected_rank(scores, partner), partner.sum(1)
    rows: list[ResultRow] = []
    # Among k items everything is among the first k
    for k in [k for k in recalls if k < gallery]:
        chance = recall_chance(counts, gallery, k)
        owners = [(source,) for source in sources]
        rows.append(context.share_row(name, f"recall@{k}", ranks <= k, owners, chance=chance, **about))
    # In a random order of N the best of m partners is expected at rank (N + 1) / (m + 1)
    chance = float(np.median((gallery + 1) / (counts + 1)))
    places = (1.0, float(gallery))
    rows.append(
        context.clustered_row(
            name, "median-rank", ranks, sources, lambda x: float(np.median(x)), bounds=places, chance=chance, **about
        )
    )
    if relevant is not None:
        values, chance = ndcg(scores, relevant), ndcg_chance(relevant)
        rows.append(context.clustered_row(name, f"ndcg@{DEPTH}", values, sources, chance=chance, **about))
    return rows


def _within(
    name: str, vectors: Matrix, partner: Marks, relevant: Marks, pairs: Pairs, context: Context
) -> list[ResultRow]:
    """nDCG within a modality, the query's own source left out."""
    others = ~partner
    values = ndcg(vectors @ vectors.T, relevant, allowed=others)
    known = ~np.isnan(values)
    if not known.any():
        return []
    sources = [source for source, k in zip(pairs.sources, known, strict=True) if k]
    clusters, chance = len(set(pairs.sources)), ndcg_chance(relevant, allowed=others)
    row = context.clustered_row(
        name, f"ndcg@{DEPTH}", values[known], sources, chance=chance, note=_gallery(pairs), listed=len(pairs.items)
    )
    return [replace(row, clusters=clusters)]  # those of the gallery, with which the query is compared


def _gallery(pairs: Pairs) -> str:
    return f"gallery of {counted(len(pairs.items), 'pair')}"


def _permuted(pairs: Pairs, seed: int) -> Marks:
    """Partners permuted among sources; none keeps its own."""
    names = sorted(set(pairs.sources))
    order = generator(seed, "shuffled-pairs").permutation(len(names))
    # A cycle through all sources: none keeps its own.
    other = {names[order[k]]: names[order[(k + 1) % len(names)]] for k in range(len(names))}
    wanted = np.array([other[source] for source in pairs.sources])
    return np.asarray(wanted[:, None] == np.array(pairs.sources)[None])


def _unit(x: torch.Tensor) -> Matrix:
    return torch.nn.functional.normalize(x.double(), dim=-1).cpu().numpy()


def _own(fusion: Fusion, vision: torch.Tensor, audio: torch.Tensor) -> Matrix:
    # In parts: the maps of all pairs of thousands of clips would fill the memory
    rows = [fusion.all_pairs(vision[k : k + BATCH], audio) for k in range(0, len(vision), BATCH)]
    return torch.cat(rows).double().cpu().numpy()
