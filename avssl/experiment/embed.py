"""Embeddings of files in the common space of picture and sound, written to a file or into a search index."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from avssl.errors import UserError
from avssl.evaluate.retrieval.embedding_files import read_embeddings, write_embeddings, writer_of
from avssl.experiment.loading import load_torch
from avssl.experiment.part_options import PartOptions
from avssl.experiment.places import refuse_missing
from avssl.networks.saved_names import saved_names
from avssl.options import REQUIRED, argument, option
from avssl.system.console import ShowProgress, counted, log, progress
from avssl.system.hub import fetched_run
from avssl.system.parts import WHOLE, Part, parts_there
from avssl.version import __version__

if TYPE_CHECKING:
    from avssl.media.facts import Media
    from avssl.search.building import Changes


NAMED = 10
"""Files that cannot be used which are named when an index is made."""


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(PartOptions):
    """Which files, by which run, and where the rows go."""

    files: tuple[str, ...] = argument("files, or one folder, CSV, tar or prepared set")
    run: str = option(REQUIRED, "the folder of a finished run, or hf://ORG/NAME", metavar="RUN")
    output: str | None = option(None, "the .npz or .parquet to write", short="-o", metavar="OUT")
    index: str | None = option(
        None, "make or update a search index instead: new files are added, removed ones dropped",
        metavar="FOLDER",
    )  # fmt: skip
    every: float | None = option(
        None, "seconds between rows (default: one row a file, from its middle; in an index one a second)",
        above=0, formerly="hop",
    )  # fmt: skip
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")

    def check(self) -> None:
        """Raise :class:`UserError` for options that contradict each other."""
        super().check()
        if (self.output is None) == (self.index is None):
            raise UserError("avssl embed needs -o OUT, the .npz or .parquet to write, or --index FOLDER; see --help")


@dataclass(frozen=True)
class _ItemWork:
    """Embedding the items of data, all or in parts on several machines.

    Attributes:
        options: what to embed.
    """

    options: EmbedOptions

    unit: ClassVar[str] = "item"

    @property
    def data(self) -> str | tuple[str, ...]:
        """As ``avssl.open`` takes it."""
        files = self.options.files
        return files[0] if len(files) == 1 else files

    @cached_property
    def media(self) -> Media:
        """What is embedded."""
        from avssl.media.opening import open_media

        return open_media(self.data)

    @property
    def units(self) -> int:
        """Items."""
        return len(self.media)

    def _units_of(self, done: Iterable[Path]) -> int:
        """Items of the parts that left these files."""
        names = [path.stem.split("-of-") for path in done]
        return sum(len(Part(int(number), int(of)).range(self.units)) for number, of in names)


@dataclass(frozen=True)
class IndexWork(_ItemWork):
    """Bringing a search index up to date; parts leave their vectors in it until they are merged."""

    @property
    def folder(self) -> Path:
        """Of the index."""
        assert self.options.index is not None
        return Path(self.options.index)

    def units_there(self) -> int:
        """Items of the parts that are done."""
        from avssl.search.files import WORK

        return self._units_of((self.folder / WORK).glob("*.done"))

    def do(self, part: Part, workers: int | None, shown: ShowProgress) -> None:
        """Embed what the index lacks of a part.

        Raises:
            UserError: as :func:`embed_files`.
        """
        from avssl.search.building import embed_part

        options = self.options
        embed_part(self.folder, self.data, options.run, options.every, part, device=options.device, workers=workers,
                   shown=shown)  # fmt: skip

    def update(self, merge: bool) -> Changes:
        """Embed here what is missing, or merge the parts.

        Raises:
            UserError: as :func:`embed_files`.
        """
        from avssl.search.building import update_index

        options = self.options
        return update_index(self.folder, self.data, options.run, options.every, device=options.device, merge=merge)


@dataclass(frozen=True)
class EmbedWork(_ItemWork):
    """Embedding items into a file; parts lie beside it until their rows are put together.

    Attributes:
        command: what the file says that it was made by.
    """

    command: str = ""

    @property
    def target(self) -> Path:
        """The file to write."""
        assert self.options.output is not None
        return Path(self.options.output)

    @property
    def folder(self) -> Path:
        """Where parts wait to be put together."""
        # Named after the target, so that parts of two outputs in one folder do not mix.
        return self.target.with_name(f".{self.target.name}.parts")

    @property
    def rows(self) -> int:
        """Rows of the whole."""
        from avssl.evaluate.retrieval.embedding import row_times
        from avssl.media.selection import facts_of

        return sum(len(row_times(facts, self.options.every)) for facts in facts_of(self.media))

    def units_there(self) -> int:
        """Items of the parts that are done."""
        return self._units_of(self.folder.glob("[0-9]*.npz"))

    def do(self, part: Part, workers: int | None, shown: ShowProgress) -> None:
        """Embed the items of a part; the whole goes into the target itself.

        Raises:
            UserError: as :func:`embed_files`.
        """
        from avssl.evaluate.retrieval.embedding import embed
        from avssl.networks.model import load
        from avssl.trainer.devices import choose_device

        place = self.target if part == WHOLE else self.folder / f"{part.name}.npz"
        if part != WHOLE and place.is_file():  # files appear whole: this part was done before
            return
        model = load(self.options.run).to(choose_device(self.options.device))
        # Said once, by the first of all parts.
        for path, reason in self.media.rejected if part.number == 1 else ():
            log(f"not usable: {path}: {reason}")
        mine = self.media if part == WHOLE else self.media.subset(part.range(self.units))  # type: ignore[attr-defined]
        with progress("embedding", "row", shown) as on_progress:
            write_embeddings(embed(model, mine, self.options.every, on_progress), place, self._about())
        if part == WHOLE:
            shutil.rmtree(self.folder, ignore_errors=True)  # parts of an earlier try

    def merged(self) -> None:
        """Put the rows of all parts together, in order; nothing where the whole was embedded at once.

        Raises:
            UserError: parts are missing.
        """
        if not self.folder.is_dir() and not self.options.merge:
            return
        parts = parts_there(self.folder.glob("*.npz"), str(self.target))
        write_embeddings(chain.from_iterable(map(read_embeddings, parts)), self.target, self._about())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _about(self) -> dict[str, str]:
        return {"avssl": __version__, "command": self.command}


def embed_files(options: EmbedOptions, command: str = "") -> None:
    """Write the embeddings of all files, or bring an index up to date, or do a part of the former.

    Args:
        options: what to embed.
        command: what the file says that it was made by.

    Raises:
        UserError: no such run, none of the files can be used, another suffix, a full disk, another run's index.
    """
    options.check()
    if options.output is not None:
        writer_of(Path(options.output))  # refuses a wrong suffix before the work, not after it
    options = replace(options, run=fetched_run(options.run))
    saved_names(options.run)
    refuse_missing(*options.files)
    load_torch()
    if options.index is not None:
        work = IndexWork(options)
        if options.part is None and not options.merge and options.engine == "local":
            log_changes(work.folder, work.update(merge=False))
        elif (changes := options.carry_out(work, lambda: work.update(merge=True))) is not None:
            log_changes(work.folder, changes)
        return
    rows = EmbedWork(options, command)
    options.carry_out(rows, rows.merged)
    if options.part is None:
        log(f"{options.output}: {counted(rows.rows, 'row')} of {counted(rows.units, 'item')}")


def log_changes(folder: Path, changes: Changes) -> None:
    """What became of an index, for people."""
    for path, reason in changes.skipped[:NAMED]:
        log(f"not usable: {path}: {reason}")
    if len(changes.skipped) > NAMED:
        log(f"… and {len(changes.skipped) - NAMED:,} more; avssl index lists each with its reason")
    counts = {"embedded": changes.embedded, "kept": changes.kept, "forgotten": changes.forgotten}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    log(f"{folder}: {changes.rows:,} moments of {changes.items:,} items ({said})")
    for kind, graph in changes.graphs.items():
        log(f"{kind}: searched by a graph, which finds {100 * graph['recall@10']:.1f} % of the ten nearest")
