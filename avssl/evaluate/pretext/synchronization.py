"""Synchronization on held-out clips: accuracy of "in step or not", by kind of negative."""

from __future__ import annotations

from torch import nn

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.pretext.predictions import HeldOut, accuracy_row
from avssl.samplers.synchronization import KINDS
from avssl.tasks.av_sync.task import AVSync

PROTOCOL = "av-sync"


def evaluate(task: AVSync, networks: dict[str, nn.Module], held_out: HeldOut) -> list[ResultRow]:
    """Rows "accuracy" of each network, and "accuracy-easy" and so on of the puzzles of one kind, on twice as many.

    Each kind has negatives and as many puzzles in step, of moments that were drawn alike.
    """
    found = held_out.predictions(task, networks, times=2, keep=lambda puzzle: puzzle.shifted.kind)
    context = held_out.context(PROTOCOL)
    rows = []
    for name, predictions in zip(networks, found, strict=True):
        rows.append(accuracy_row(name, predictions, context, chance=0.5, chosen=range(held_out.puzzles)))
        for kind in KINDS:
            chosen = [i for i, each in enumerate(predictions.kept) if each == kind]
            if chosen:
                rows.append(
                    accuracy_row(name, predictions, context, metric=f"accuracy-{kind}", chance=0.5, chosen=chosen)
                )
    return rows
