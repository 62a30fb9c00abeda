"""Files to vectors of the space where picture and sound meet, written to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avssl.evaluate.retrieval.embedding_files import writer_of
from avssl.experiment.data import refuse_missing
from avssl.options import REQUIRED, argument, option
from avssl.system.console import log, progress
from avssl.trainer.run_config import refuse_no_folder
from avssl.version import __version__


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """Which files, by which run, and where the rows go."""

    files: tuple[str, ...] = argument("files, or one folder, CSV, tar or prepared set")
    run: str = option(REQUIRED, "the folder of a finished run", metavar="RUN")
    output: str = option(REQUIRED, "the .npz or .parquet to write", short="-o", metavar="OUT")
    hop: float | None = option(None, "seconds from row to row (default: one row, from the middle of each)", above=0)
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")


def embed_files(options: EmbedOptions, command: str = "") -> tuple[int, int]:
    """Write the embeddings of all files; (rows, items).

    Args:
        options: what to embed.
        command: what the file says that it was made by.

    Raises:
        UserError: no such run, none of the files can be used, another suffix, a full disk.
    """
    target = Path(options.output)
    writer_of(target)  # refuses a wrong suffix before the work, not after it
    refuse_no_folder(options.run)
    refuse_missing(*options.files)
    from avssl.evaluate.retrieval.embedding import embed
    from avssl.evaluate.retrieval.embedding_files import write_embeddings
    from avssl.media import open_media
    from avssl.networks.model import load
    from avssl.trainer.devices import choose_device

    model = load(options.run).to(choose_device(options.device))
    media = open_media(options.files[0] if len(options.files) == 1 else options.files)
    for path, reason in media.rejected:
        log(f"not usable: {path}: {reason}")
    about = {"avssl": __version__, "command": command}
    with progress("embedding", "rows") as on_progress:
        rows = write_embeddings(embed(model, media, options.hop, on_progress), target, about)
    return rows, len(media)
