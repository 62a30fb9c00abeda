"""``avssl embed``: files to 128-d embeddings with a finished run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.embed import EmbedOptions, embed_files
from avssl.experiment.part_options import without_parts

WHAT = """Turn files into vectors with the encoders of a run of av-correspondence: the frame shown at each time, and
the sound around it, into the space where the two meet. OUT is a NumPy .npz or a Parquet file with a row for each time:

  path     the file                          seconds  the time
  image    (rows, 128) float32               audio    (rows, 128) float32

Instead of OUT, --index FOLDER makes a search index for avssl search, or updates one: new and changed files are
embedded, removed ones are dropped. Interrupted, the same command continues.

Rows of files without pictures or without sound hold NaN there (in Parquet null). Rows are written as they are made:
memory does not grow with the hours of video. Parquet needs pyarrow."""
EXAMPLE = """avssl embed videos/ --run runs/mine -o videos.npz
avssl embed a.mp4 b.mp4 --run runs/mine -o two.parquet --every 0.5
avssl embed videos/ --run runs/mine --index videos.index
avssl embed videos/ --run runs/mine -o videos.npz --part 3/8      one task of a job array; --merge afterwards"""


def run(argv: Sequence[str]) -> None:
    """Embed."""
    options = parsed(argv, EmbedOptions, "avssl embed", WHAT, EXAMPLE)
    embed_files(options, shlex.join(["avssl", "embed", *without_parts(argv)]))
