"""By how much is a sound shifted against its picture? The offset that a network of av-sync finds, and its error.

A moment of a video is taken where something is heard (in the generated world an event that is in the picture, elsewhere
an onset of the sound), the sound is shifted by a number of frames, and the offset found is that of a grid of shifts at
which the network's score is largest. The shift differs from moment to moment: "always 0" is no good answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.evaluate.core.rows import Context, ResultRow
from avssl.media.facts import Media
from avssl.networks.encoder import in_eval_mode
from avssl.networks.synchronization import SyncNetwork
from avssl.samplers.correspondence import grid
from avssl.samplers.keys import generator
from avssl.samplers.synchronization import Excerpt, read_sound
from avssl.tasks.av_sync.task import AVSync

# An event so near the end of a clip is hardly seen in it: two frames at 25 a second.
_MARGIN_SECONDS = 0.08
# Onsets are looked for in the beginning of long videos.
_LONGEST_SECONDS = 120.0
# Shifts, in seconds, for which accuracy is given; each as the nearest number of frames.
ACCURACY_SHIFTS = (0.04, 0.08, 0.12, 0.2, 0.4)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """Where a clip is taken, and by how many frames its sound is shifted."""

    item: int
    centres: NDArray[np.float64]  # (4 · reach + 1,) times of frames; the clip is around that in the middle
    shift: int  # of the sound, in frames: −reach … reach
    source: str

    @property
    def period_seconds(self) -> float:
        """From frame to frame."""
        return float(np.median(np.diff(self.centres)))


@dataclass(frozen=True)
class Moments:
    """What is evaluated, and what was left out."""

    found: list[Moment]
    listed: int  # moments that were looked for
    silent: int  # of them: without an event where there is room for shifts
    short: int  # of videos with no such room
    events: str  # what events are: "ground truth", "onsets"


def event_times(media: Media, item: int, rate: int) -> tuple[NDArray[np.float64], str]:
    """When something is heard to happen, in seconds, and how that is known."""
    truth = media.annotation(item)
    if truth is not None and "events" in truth:
        visible = len(truth["objects"])
        heard = [e["time_seconds"] for e in truth["events"] if e["heard"] and e["object"] < visible]
        return np.array(heard, np.float64), "ground truth"
    from librosa.onset import onset_detect  # heavy

    facts = media.facts(item)
    start = max(facts.audio_start_seconds, 0.0)
    length = min(facts.audio_end_seconds - start, _LONGEST_SECONDS)
    sound = media.audio(item, start, length, rate)
    # A hop of 8 ms: an onset is found to a fifth of a frame.
    found = onset_detect(y=sound, sr=rate, hop_length=max(rate // 125, 1), units="time")
    return np.asarray(found, np.float64) + start, "onsets"


def find_moments(media: Media, task: AVSync, reach_seconds: float, per_clip: int, seed: int) -> Moments:
    """At most so many moments of each video, with room for shifts of twice ``reach_seconds`` either way."""
    found: list[Moment] = []
    seconds, silent, short, how = task.options.seconds, 0, 0, "onsets"
    inside = seconds / 2 - _MARGIN_SECONDS
    for item in range(len(media)):
        facts, centres = media.facts(item), grid(media, item, seconds)
        period = float(np.median(np.diff(centres))) if len(centres) > 1 else np.inf
        reach = max(round(reach_seconds / period), 1)
        places = np.arange(2 * reach, len(centres) - 2 * reach)
        if not len(places):
            short += per_clip
            continue
        events, how = event_times(media, item, task.options.rate)
        near = (np.abs(events[None] - centres[places][:, None]) <= inside).any(1) if len(events) else np.zeros(0, bool)
        fitting = places[near] if len(events) else places[:0]
        rng = generator(seed, facts.source_or_path, item, "offsets")
        silent += max(per_clip - len(fitting), 0)
        for place in rng.permutation(fitting)[:per_clip].tolist():
            around = centres[place - 2 * reach : place + 2 * reach + 1]
            shift = int(rng.integers(-reach, reach + 1))
            found.append(Moment(item, around, shift, facts.source_or_path))
    return Moments(found, per_clip * len(media), silent, short, how)


@torch.no_grad()
def score_shifts(
    media: Media, task: AVSync, networks: Mapping[str, SyncNetwork], moments: Sequence[Moment], device: Any = "cpu"
) -> dict[str, list[Scores]]:
    """The logit of each moment's clip with the sound at each of its centres, by network: (4 · reach + 1,) a moment."""
    rule, task = task.rule(0), task.held_out()
    scores: dict[str, list[Scores]] = {name: [] for name in networks}
    for moment in moments:
        middle = float(moment.centres[len(moment.centres) // 2])
        frames = torch.from_numpy(task.clip(media, Excerpt(moment.item, middle)))[None].to(device)
        centres = moment.centres.tolist()
        sounds = np.stack([read_sound(media, Excerpt(moment.item, centre), rule) for centre in centres])
        waveform = torch.from_numpy(sounds).to(device)
        for name, network in networks.items():
            with in_eval_mode(network.to(device)):
                picture = network.see(frames, torch.zeros(1, device=device))
                logits = network.logits(picture, network.hear(waveform))
            scores[name].append(logits.double().cpu().numpy())
    return scores


def onset_in_the_middle(media: Media, task: AVSync, moments: Sequence[Moment]) -> list[Scores]:
    """Scores that no picture is needed for: how near the middle of each sound its change in loudness is.

    The clip is one with an event in it; a sound whose onset is in its middle is then the likeliest of all.
    """
    rule = task.rule(0)
    found = []
    for moment in moments:
        scores = []
        for centre in moment.centres.tolist():
            sound = read_sound(media, Excerpt(moment.item, centre), rule)
            hop = max(rule.rate // 100, 1)
            level = np.log(np.square(sound[: len(sound) // hop * hop].reshape(-1, hop)).mean(1) + 1e-8)
            rise = np.diff(level).clip(0)
            place = np.average(np.linspace(-1, 1, len(rise)), weights=rise + 1e-6)
            scores.append(-abs(float(place)))
        found.append(np.array(scores))
    return found


def offset_rows(scores: Mapping[str, Sequence[Scores]], moments: Moments, context: Context) -> list[ResultRow]:
    """Rows "offset-error" (seconds) and "within-one-frame" of each network and of the blind answers, and of networks
    "accuracy-0.08s" and so on.

    Args:
        scores: by name; names that begin with "blind" have no accuracy.
    """
    rows: list[ResultRow] = []
    for name, mine in scores.items():
        rows += _found(name, [_offset(one, m) for one, m in zip(mine, moments.found, strict=True)], moments, context)
        if not name.startswith("blind"):
            rows += _accuracies(name, mine, moments, context)
    shifts = [moment.shift for moment in moments.found]
    frequent = max(sorted(set(shifts)), key=shifts.count)
    rows += _found("blind/always-0", [0] * len(shifts), moments, context)
    return rows + _found("blind/most-frequent", [frequent] * len(shifts), moments, context)


def _offset(scores: Scores, moment: Moment) -> int:
    """The offset found, in frames."""
    reach = len(scores) // 4
    # At a candidate c the sound is moved back by c: it then is out of step by shift − c frames.
    candidates = np.arange(-reach, reach + 1)
    return int(candidates[int(scores[2 * reach + moment.shift - candidates].argmax())])


def _found(name: str, offsets: Sequence[int], moments: Moments, context: Context) -> list[ResultRow]:
    found = moments.found
    errors = [abs(offset - moment.shift) for offset, moment in zip(offsets, found, strict=True)]
    sources = [moment.source for moment in found]
    seconds = [error * moment.period_seconds for error, moment in zip(errors, found, strict=True)]
    counts: dict[str, Any] = {"listed": moments.listed, "note": _note(moments)}
    chance = float(np.mean([_within_chance(moment) for moment in found]))
    within = [float(error <= 1) for error in errors]
    return [
        context.clustered_row(name, "offset-error", seconds, sources, bounds=(0.0, np.inf), **counts),
        context.clustered_row(name, "within-one-frame", within, sources, chance=chance, **counts),
    ]


def _within_chance(moment: Moment) -> float:
    reach = len(moment.centres) // 4
    candidates = np.arange(-reach, reach + 1)
    return float((np.abs(candidates - moment.shift) <= 1).mean())


def _accuracies(name: str, scores: Sequence[Scores], moments: Moments, context: Context) -> list[ResultRow]:
    """In step or not: the mean of the shares of sounds in step that are taken for it, and of shifted ones that are
    not, by the size of the shift, forwards and backwards."""
    rows = []
    for seconds in ACCURACY_SHIFTS:
        values: list[float] = []
        sources: list[str] = []
        for one, moment in zip(scores, moments.found, strict=True):
            middle, frames = len(one) // 2, max(round(seconds / moment.period_seconds), 1)
            if frames <= middle:
                shifted = [one[middle - frames] <= 0, one[middle + frames] <= 0]
                values.append((float(one[middle] > 0) + float(np.mean(shifted))) / 2)
                sources.append(moment.source)
        if values:
            metric = f"accuracy-{seconds:.2f}s"
            rows.append(context.clustered_row(name, metric, values, sources, chance=0.5, listed=moments.listed))
    return rows


def _note(moments: Moments) -> str:
    left = [f"{moments.silent} without an event" if moments.silent else "", f"{moments.short} in clips too short"]
    left = [one for one in left if one and not one.startswith("0 ")]
    return f"moments with an event ({moments.events})" + (f"; left out: {', '.join(left)}" if left else "")
