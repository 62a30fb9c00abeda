"""``avssl embed``: files to 128-d embeddings with a finished run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from avssl import __version__
from avssl.cli.options import Command, Option
from avssl.errors import UserError
from avssl.system.console import progress, say

WHAT = """Turn files into vectors with the encoders of a run of av-correspondence: the frame shown at each moment, and
the sound around it, into the space where the two meet. OUT is a NumPy .npz or a Parquet file with a row a moment:

  path     the file                          seconds  the moment
  image    (rows, 128) float32               audio    (rows, 128) float32

Rows of files without pictures or without sound hold NaN there (in Parquet null). Rows are written as they are made:
memory does not grow with the hours of video. Parquet needs pyarrow."""
EXAMPLE = """avssl embed videos/ --run runs/mine -o videos.npz
avssl embed a.mp4 b.mp4 --run runs/mine -o two.parquet --hop 0.5"""


def run(argv: Sequence[str]) -> None:
    """Embed."""
    command = Command("avssl embed", WHAT, EXAMPLE)
    command.positional("files", "files, or one folder, CSV, tar or prepared set", many=True)
    command.add(
        [
            Option("run", str | None, None, "the folder of a finished run", metavar="RUN"),
            Option("output", str | None, None, "the .npz or .parquet to write", "-o", "OUT"),
            Option("hop", float | None, None, "seconds from row to row (default: one row, from the middle of each)"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    values = command.parse(argv)
    for name, flag in (("run", "--run RUN"), ("output", "-o OUT.npz or OUT.parquet")):
        if values[name] is None:
            raise UserError(f"avssl embed wants {flag}; see avssl embed --help")
    if values["hop"] is not None and values["hop"] <= 0:
        raise UserError(f"--hop ({values['hop']}) must be more than 0 seconds")
    from avssl.evaluate.retrieval.embedding import embed
    from avssl.evaluate.retrieval.embedding_files import write_embeddings, writer_of
    from avssl.media import open_media
    from avssl.networks.model import load
    from avssl.trainer.devices import choose_device

    target = Path(values["output"])
    writer_of(target)  # a wrong suffix is told before the work, not after it
    model = load(values["run"]).to(choose_device(values["device"]))
    files = values["files"]
    media = open_media(files[0] if len(files) == 1 else files)
    for path, reason in media.rejected:
        say(f"not usable: {path}: {reason}")
    about = {"avssl": __version__, "command": shlex.join(["avssl", "embed", *argv])}
    with progress("embedding", "moments") as told:
        rows = write_embeddings(embed(model, media, values["hop"], told), target, about)
    say(f"{target}: {rows} rows of {len(media)} items")
