"""Instance discrimination on held-out items: how often the other view of a picture, or sound, is found among others'.

``accuracy``: each first view asks for its picture's second view among those of N pictures, by the largest scalar
product of embeddings; chance is 1 / N. Beside the networks what two cues find without one by the least distance,
``mean-colour`` and ``colour-histogram``; of sounds ``mean-spectrum`` and ``loudness``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.pretext import cues
from avssl.evaluate.pretext.cues import Cue
from avssl.evaluate.pretext.pairs import CANDIDATES, in_blocks, match
from avssl.evaluate.pretext.predictions import HeldOut, Predictions, accuracy_row, predict
from avssl.media.facts import Media
from avssl.samplers.keys import Key
from avssl.tasks.instance_contrast.task import InstanceContrast

PROTOCOL = "instance-contrast"
BY_CUES: dict[str, Cue] = {"mean-colour": cues.mean_colour, "colour-histogram": cues.colour_histogram}
BY_CUES_OF_SOUNDS: dict[str, Cue] = {"mean-spectrum": cues.mean_spectrum, "loudness": cues.loudness_of_views}


def evaluate(task: InstanceContrast, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows of each network (by name) and, beside the trained one, of the cues, on the same pairs of views.

    None of a single picture, which there is nothing to tell from.
    """
    media, context = held_out.media, held_out.context(PROTOCOL)
    count = min(CANDIDATES, len(media), held_out.puzzles)
    by_cues = BY_CUES_OF_SOUNDS if task.options.of == "sounds" else BY_CUES
    if count < 2:
        return []
    keys = in_blocks(held_out.keys(held_out.puzzles), len(media), count)
    drawn = task.held_out()
    predictions = predict(drawn, list(networks.values()), media, keys, device=held_out.device)
    found = {name: each.answers.scores for name, each in zip(networks, predictions, strict=True)}
    clusters = predictions[0].clusters
    if "trained" in networks:
        found |= {name: _of_cue(drawn, media, keys, cue) for name, cue in by_cues.items()}
    note = f"among {count} {task.options.of}"
    rows = []
    for name, pairs in found.items():
        matched = Predictions(match(pairs, count, nearest=name in by_cues), clusters)
        rows.append(accuracy_row(name, matched, context, chance=1 / count, note=note if name in by_cues else ""))
    return rows


def _of_cue(task: InstanceContrast, media: Media, keys: list[Key], cue: Cue) -> Tensor:
    found = []
    for first in range(0, len(keys), CANDIDATES):
        found.append(cue(task, task.collate([task.draw(media, key) for key in keys[first : first + CANDIDATES]])))
    return torch.cat(found)
