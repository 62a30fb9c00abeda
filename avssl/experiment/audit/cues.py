"""Whether cheap cues alone match pictures with sounds, or identify the source of a clip.

Three questions, each answered on sources that nothing was fitted on or with nothing fitted at all:

* :func:`matching`: of a picture and two sounds, its own and another source's, does a cue say which is its own? Above
  one half, all negatives are weaker than they look: cameras of one kind have one kind of microphone.
* :func:`naming`: do the picture and the sound of a test clip name the same training source? Above chance, a network
  can answer by remembering what of the training it looks and sounds like.
* :func:`neighbours`: are files that follow each other more alike than others? Then they may be cuts of one recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.evaluate.core.statistics import touching
from avssl.experiment.audit.features import Cues, Matrix
from avssl.experiment.audit.findings import Finding, Verdict, per_cent, verdict_of
from avssl.samplers.keys import generator

FOLDS = 5  # of sources: each is predicted by what was fitted on the others
FEWEST = 20  # Fewer steps from file to file are too few to test their order
FEW = 100  # With so few sources the spread is also measured on permuted sounds
_PERMUTATIONS = 20
# The penalty of the ridge regression, added to the diagonal of kernels that are 1 there.
_RIDGE = 0.5
_NAMED = 3  # pairs of cues that a note names beside the first
# Cues of the file and not of what it shows: one that matches is a leak, where the others may be a warning.
_MADE = ("encoding of the picture", "encoding of the sound")


def matching(cues: Cues, seed: int = 0) -> list[Finding]:
    """Each cue of one side against all that can be seen or heard of the other.

    A kernel ridge regression (Gaussian kernels of the other side's cues, averaged) predicts the cue from the other
    side and the other side from the cue, on sources that it was not fitted on; a picture and a sound fit as their
    predicted values do. The figure is the share of (own, other) pairs in which the own one fits better, for pictures
    among sounds and sounds among pictures. Intervals are over sources (Efron's infinitesimal jackknife over both ends
    of a pair, Student's t), and 95 % for all cues together (Bonferroni).
    """
    seen = {name: values for name, values in cues.picture.items() if name not in _MADE}
    heard = {name: values for name, values in cues.sound.items() if name not in _MADE}
    if not seen or not heard:
        return []
    asked = [(name, values, heard) for name, values in cues.picture.items()]
    asked += [(name, values, seen) for name, values in cues.sound.items()]
    number = {name: k for k, name in enumerate(sorted(set(cues.sources)))}
    source = np.array([number[name] for name in cues.sources])
    found = []
    for name, values, others in asked:
        other = "sound" if name in cues.picture else "picture"
        value, low, high = _two_choices(values, list(others.values()), source, seed, len(asked))
        verdict = verdict_of(low, high, 0.5)
        if verdict == "leak" and name not in _MADE:
            verdict = "warning"  # a cue of what is seen and heard may be of what happens there: drums are no flutes
        found.append(Finding(f"{name} → own {other}", value, low, high, 0.5, verdict, "cues", len(number)))
    return found


def naming(train: Cues, test: Cues) -> list[Finding]:
    """Whether the picture and the sound of test clips name the same training source, for each two cues.

    Args:
        train, test: of one :func:`measure` over both (see :func:`part`), so that they have one scale.

    Returns:
        the two cues that agree most, as one finding; the interval (Clopper and Pearson's, over test sources) is 95 %
        for all pairs of cues together. Chance is how often the picture of one test clip and the sound of another
        agree, and one in as many as there are training sources at least.
    """
    pictures = {name: values for name, values in test.picture.items() if name not in _MADE}
    sounds = {name: values for name, values in test.sound.items() if name not in _MADE}
    if not pictures or not sounds or not train.sources:
        return []
    named = np.array(train.sources)
    clusters = sorted(set(test.sources))
    seen = {name: named[_nearest(values, train.picture[name])] for name, values in pictures.items()}
    heard = {name: named[_nearest(values, train.sound[name])] for name, values in sounds.items()}
    level = 1 - 0.05 / (len(seen) * len(heard))  # Bonferroni: 95 % for all pairs together
    test_sources = np.array(test.sources)
    apart = test_sources[:, None] != test_sources[None]
    pairs: list[tuple[str, float, float, float, float, int]] = []
    for one, by_picture in seen.items():
        for other, by_sound in heard.items():
            agree = by_picture == by_sound
            table = by_picture[:, None] == by_sound[None]
            chance = max(float(table[apart].mean()) if apart.any() else 0.0, 1 / len(set(train.sources)))
            # By source: many clips of one source are not as many independent answers.
            means = [float(np.mean([a for a, s in zip(agree, test.sources, strict=True) if s == c])) for c in clusters]
            share = float(np.mean(means))
            pairs.append((f"{one} and {other}", share, *_exact(share, len(clusters), level), chance, int(agree.sum())))
    pairs.sort(key=lambda pair: -round(pair[2] - pair[4], 9))  # of equals the first: a border rather than light
    name, share, low, high, chance, count = pairs[0]
    more = [f"{pair[0]} ({per_cent(pair[1])})" for pair in pairs[1:] if pair[2] > pair[4]]
    note = f"{count} of {len(test_sources)} test clips can be recognised by two things at once"
    note += f"; also by {', '.join(more[:_NAMED])}" if more else ""
    verdict, name = verdict_of(low, high, chance), f"{name} name one training source"
    return [Finding(name, share, low, high, chance, verdict, "parts", len(clusters), note)]


def neighbours(cues: Cues) -> list[Finding]:
    """Whether files that follow each other are more alike than others of their folder.

    Of a file, the next of its folder and another of its folder, both of other sources, the share in which the next is
    nearer: by the cue that shows it most. The interval is 95 % for all cues together.
    """
    source, folder = np.array(cues.sources), np.array(cues.folders)
    if len(cues.items) < FEWEST:
        return []
    follows = (np.diff(cues.items) == 1) & (folder[1:] == folder[:-1]) & (source[1:] != source[:-1])
    place = np.arange(len(source))
    steps = [
        (a, far)
        for a in np.flatnonzero(follows).tolist()
        if len(far := np.flatnonzero((folder == folder[a]) & (source != source[a]) & (np.abs(place - a) > 1)))
    ]
    if len(steps) < FEWEST:
        return []
    everything = {**cues.picture, **cues.sound}
    names = [name for name in everything if name not in _MADE]
    if not names:
        return []
    z = _normal(1 - 0.025 / len(names))  # Bonferroni, two-sided
    best: Finding | None = None
    for name in names:
        distance = _distances(everything[name])
        each = np.array([_nearer(distance[a, a + 1], distance[a, far]) for a, far in steps])
        share = float(each.mean())
        # Two neighbours' figures have a file in common: as independent as half of them.
        reach = z * float(each.std()) / math.sqrt(len(each) / 2)
        low, high = max(share - reach, 0.0), min(share + reach, 1.0)
        if best is None or low > best.low:
            verdict: Verdict = "warning" if low > 0.5 else "ok"
            note = f"by {name}; perhaps they were cut from one recording"
            best = Finding("consecutive files are alike", share, low, high, 0.5, verdict, "cues", len(each), note)
    return [best] if best else []


def telling(cues: Cues, shared: bool) -> list[Finding]:
    """How well each cue distinguishes a source from others, where sources have several clips.

    Of a clip, another clip of its source and one of another source, the share in which the one of its source is nearer.

    Args:
        shared: whether a source is in more than one part. Then it is a leak; else it says why sources must not be.
    """
    number = {name: k for k, name in enumerate(sorted(set(cues.sources)))}
    source = np.array([number[name] for name in cues.sources])
    # Of a source with one clip there is no other clip to be taken for it.
    several = [k for k in range(len(number)) if (source == k).sum() > 1]
    everything = {**cues.picture, **cues.sound}
    if len(several) < 5 or not everything:  # of fewer sources no spread can be estimated
        return []
    z = _normal(1 - 0.025 / len(everything))
    found = []
    for name, values in everything.items():
        distance = _distances(values)
        each = []
        for k in several:
            own = np.flatnonzero(source == k)
            each.append(
                np.mean([_nearer(distance[a, b], distance[a, source != k]) for a in own for b in own if a != b])
            )
        share = float(np.mean(each))
        reach = z * float(np.std(each, ddof=1)) / math.sqrt(len(each))
        low, high = max(share - reach, 0.0), min(share + reach, 1.0)
        verdict = verdict_of(low, high, 0.5) if shared else "ok"
        # With sources on one side only, that they can be told apart says why they must stay there: it is no fault.
        found.append(Finding(f"{name} → own source", share, low, high, 0.5, verdict, "cues", len(several)))
    return found


def part(cues: Cues, chosen: NDArray[np.bool_]) -> Cues:
    """Some of what was measured together."""
    places = np.flatnonzero(chosen)
    return Cues(
        cues.items[places],
        [cues.sources[i] for i in places],
        {name: values[places] for name, values in cues.picture.items()},
        {name: values[places] for name, values in cues.sound.items()},
        [],
        [cues.folders[i] for i in places],
    )


def _two_choices(
    cue: Matrix, others: Sequence[Matrix], source: NDArray[np.int64], seed: int, asked: int
) -> tuple[float, float, float]:
    """(value, low, high) of :func:`matching`."""
    from scipy.stats import t  # slow to import

    count = int(source.max()) + 1
    if count < 4:  # two folds of two sources
        return math.nan, 0.0, 1.0
    rng = generator(seed, "folds")
    # A source is in one fold as a whole; a fold has two at least, or there would be no other to choose from.
    fold = rng.permutation(count)[source] % min(FOLDS, count // 2)
    # Each block has variance 1: scaled so that all of them together have, too.
    theirs = np.hstack([block / math.sqrt(len(others)) for block in others])
    kernel_own, kernel_theirs = _kernel([cue]), _kernel(others)
    every, first, second = _choices(cue, theirs, kernel_own, kernel_theirs, source, fold)
    value = float(every.mean())
    spread = math.sqrt(float(((touching(every - value, first, second, count) / len(every)) ** 2).sum()))
    if count <= FEW:
        # The jackknife does not know that the folds' fits vary, too; permuted sounds show by how much.
        permutations = [rng.permutation(len(source)) for _ in range(_PERMUTATIONS)]
        chances = [
            float(_choices(cue, theirs[order], kernel_own, kernel_theirs[np.ix_(order, order)], source, fold)[0].mean())
            for order in permutations
        ]
        spread = max(spread, float(np.std(chances, ddof=1)))
    reach = float(t.ppf(1 - 0.025 / asked, count - 1)) * spread
    return value, max(value - reach, 0.0), min(value + reach, 1.0)


def _choices(
    cue: Matrix,
    theirs: Matrix,
    kernel_own: Matrix,
    kernel_theirs: Matrix,
    source: NDArray[np.int64],
    fold: NDArray[np.int64],
) -> tuple[Matrix, NDArray[np.int64], NDArray[np.int64]]:
    """Of each two items of other sources in one fold: whether the own one fits better, and the two sources. (pairs,)"""
    wins: list[Matrix] = []
    firsts: list[NDArray[np.int64]] = []
    seconds: list[NDArray[np.int64]] = []
    for k in range(fold.max() + 1):
        inside, outside = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        fit = _fit_of(cue, kernel_theirs, inside, outside) + _fit_of(theirs, kernel_own, inside, outside).T
        own = np.diagonal(fit)
        won = _won(own[:, None], fit) / 2 + _won(own[None], fit).T / 2
        # Two clips of one source are no choice: both would be right.
        ends = np.broadcast_arrays(source[inside][:, None], source[inside][None])
        apart = ends[0] != ends[1]
        wins.append(won[apart])
        firsts.append(ends[0][apart])
        seconds.append(ends[1][apart])
    return np.concatenate(wins), np.concatenate(firsts), np.concatenate(seconds)


def _fit_of(wanted: Matrix, kernel: Matrix, inside: NDArray[np.int64], outside: NDArray[np.int64]) -> Matrix:
    """How well the prediction for item j fits the truth of item i: (inside, inside)."""
    middle = wanted[outside].mean(0)
    square = kernel[np.ix_(outside, outside)] + _RIDGE * np.eye(len(outside))
    weights = np.linalg.solve(square, wanted[outside] - middle)
    predicted = kernel[np.ix_(inside, outside)] @ weights
    fit: Matrix = (wanted[inside] - middle) @ predicted.T
    # Both directions are added: on one scale, or that with the larger values would decide alone.
    return fit / max(float(fit.std()), 1e-12)


def _won(own: Matrix, other: Matrix) -> Matrix:
    won: Matrix = (own > other) + (own == other) / 2
    return won


def _kernel(blocks: Sequence[Matrix]) -> Matrix:
    """Gaussian kernels of the median distance, averaged over cues: (n, n)."""
    kernels = []
    for block in blocks:
        squares = _squares(block, block)
        middle = float(np.median(squares[squares > 1e-12])) if (squares > 1e-12).any() else 1.0
        kernels.append(np.exp(-squares / middle))
    found: Matrix = np.mean(kernels, axis=0)
    return found


def _distances(values: Matrix) -> Matrix:
    found: Matrix = np.sqrt(_squares(values, values))
    return found


def _nearer(one: float, others: Matrix) -> float:
    """The share of others that are further than this one; ties count half."""
    return float(np.mean(others > one) + np.mean(others == one) / 2)


def _nearest(values: Matrix, known: Matrix) -> NDArray[np.int64]:
    found: NDArray[np.int64] = _squares(values, known).argmin(1)
    return found


def _squares(one: Matrix, other: Matrix) -> Matrix:
    """Squared distances of rows, without a 3-D intermediate: (n, m)."""
    product = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    found: Matrix = np.where(product < 1e-9, 0.0, product)  # rounding; what is the same is at 0
    return found


def _exact(share: float, n: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share of n: near 0 no other keeps what it promises."""
    from scipy.stats import beta  # slow to import

    hits, tail = share * n, (1 - level) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def _normal(probability: float) -> float:
    from scipy.special import ndtri  # as scipy.stats computes it, which takes a second to import

    return float(ndtri(probability))
