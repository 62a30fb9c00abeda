"""``avssl embed``: files to 128-d embeddings with a finished run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avssl.cli.options import Command, Option
from avssl.cli.screen import progress, say
from avssl.errors import UserError
from avssl.media import open_media
from avssl.media.cache import whole_file
from avssl.media.facts import Facts, Media

if TYPE_CHECKING:
    from torch import Tensor

    from avssl.networks.model import Model

BATCH = 32
"""Moments of one file that go through the network together."""


def run(argv: Sequence[str]) -> None:
    """Embed."""
    command = Command(
        "avssl embed",
        "Turn files into vectors with the encoders of a run: the frame shown at each moment, and the sound around it,\n"
        "into the space where the two meet. OUT is a NumPy .npz with a row a moment:\n\n"
        "  path     the file                          seconds  the moment\n"
        "  image    (rows, dimensions) float32        audio    (rows, dimensions) float32\n\n"
        "Rows of files without pictures or without sound hold NaN there.",
        "avssl embed videos/ --run runs/mine -o videos.npz\n"
        "avssl embed a.mp4 b.mp4 --run runs/mine -o two.npz --every 1",
    )
    command.positional("files", "files, or one folder, CSV, tar or prepared set", many=True)
    command.add(
        [
            Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
            Option("output", str | None, None, "the .npz to write", "-o", "NPZ"),
            Option("every", float | None, None, "a row every so many seconds (default: one, from the middle of each)"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    values = command.parse(argv)
    for name, flag in (("run", "--run RUN"), ("output", "-o OUT.npz")):
        if values[name] is None:
            raise UserError(f"avssl embed wants {flag}; see avssl embed --help")
    if values["every"] is not None and values["every"] <= 0:
        raise UserError(f"--every ({values['every']}) must be more than 0 seconds")
    from avssl.networks.model import load
    from avssl.trainer.devices import choose_device

    model = load(values["run"]).to(choose_device(values["device"]))
    files = values["files"]
    media = open_media(files[0] if len(files) == 1 else files)
    for path, reason in media.rejected:
        say(f"not usable: {path}: {reason}")
    arrays = embed(model, media, values["every"])
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with whole_file(Path(values["output"])) as file:
        file.write(buffer.getvalue())
    say(f"{values['output']}: {len(arrays['path'])} rows of {len(media)} items")


def embed(model: Model, media: Media, every: float | None = None) -> dict[str, NDArray[Any]]:
    """The embeddings of a collection: "path", "seconds", "image" and "audio" by row.

    Args:
        model: as ``avssl.load`` gives it.
        media: what to embed.
        every: seconds between rows of one item; None takes the middle of each.
    """
    front_end = model.audio_encoder.config.front_end if model.audio_encoder is not None else None
    paths: list[str] = []
    seconds: list[float] = []
    images: list[Rows | int] = []
    sounds: list[Rows | int] = []
    with progress("embedding") as told:
        for i in range(len(media)):
            facts = media.facts(i)
            times = moments(facts, every)
            for first in range(0, len(times), BATCH):
                some = times[first : first + BATCH]
                seen = model.vision is not None and facts.kind != "sound"
                images.append(_numbers(model.image(media.frames(i, some))) if seen else len(some))
                if front_end is None or not facts.has_sound:
                    sounds.append(len(some))
                    continue
                length, rate = front_end.seconds, front_end.rate
                stretches = [media.audio(i, time - length / 2, length, rate) for time in some]
                sounds.append(_numbers(model.audio(np.stack(stretches), rate)))
            paths += [facts.path] * len(times)
            seconds += times
            told(i + 1, len(media))
    return {"path": np.array(paths), "seconds": np.array(seconds), "image": _joined(images), "audio": _joined(sounds)}


def moments(facts: Facts, every: float | None) -> list[float]:
    """The moments of an item that get a row: its middle, or one every so many seconds, from half of that on."""
    if every is None or facts.duration_seconds <= every:
        return [facts.duration_seconds / 2]
    return [(k + 0.5) * every for k in range(int(facts.duration_seconds / every))]


Rows = NDArray[np.float32]


def _numbers(embeddings: Tensor) -> Rows:
    return np.asarray(embeddings.cpu().numpy(), np.float32)


def _joined(pieces: Sequence[Rows | int]) -> Rows:
    """Pieces one below the other; where there is only a number, so many rows of NaN."""
    width = next((piece.shape[1] for piece in pieces if not isinstance(piece, int)), 0)
    rows = [np.full((piece, width), np.nan, np.float32) if isinstance(piece, int) else piece for piece in pieces]
    return np.concatenate(rows) if rows else np.zeros((0, width), np.float32)
