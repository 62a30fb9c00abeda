"""The training, validation and test parts of a task, from ``--data`` and ``--test``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avssl.errors import UserError
from avssl.experiment import sources as data_sources
from avssl.experiment import torchvision_data
from avssl.experiment.places import open_data, refuse_missing
from avssl.media import hf_dataset
from avssl.media.facts import Media
from avssl.media.selection import Subset, column_of, facts_of, held_out_order
from avssl.options import check_bounds, option
from avssl.system.console import counted, log, quiet
from avssl.system.remote import is_remote

if TYPE_CHECKING:
    from avssl.evaluate.data.load_run import TrainedTask
    from avssl.tasks.base import Task

SPLITS = ("train", "validation", "test")
SOURCES_A_PART = 2  # at least: a negative of a puzzle comes from another source than its positive
GENERATED = "the generated world"  # what messages call the data where none are named


@dataclass(frozen=True)
class DataOptions:
    """Where the data are and how they are divided."""

    data: str | None = option(
        None,
        "folder of videos or images, CSV (path[,label,start,split]), tar of images, prepared set (also s3://, gs://, "
        "hf://, https://), torchvision:NAME:FOLDER, or hf-dataset:PATH_OR_NAME[:SPLIT]; "
        "nothing: generated clips, made once and kept in the cache",
    )
    test: str | None = option(
        None, "held-out data for the controls; else the test split of --data, or a part of it by source"
    )
    test_share: float = option(
        0.2, "share of --data held out for the controls where it names no test split", above=0, below=1
    )
    validation_share: float = option(
        0.1, "share of the training data to validate on where --data names no such split", above=0, below=1
    )
    sources: str = option(data_sources.DEFAULT, data_sources.HELP)
    source_column: str | None = option(None, "the same as --sources COLUMN")
    prepare: bool = option(True, "decode the data once into the cache if they fit there, which is much faster")
    prepare_side: int | None = option(
        None, "pixels of the shorter side of prepared pictures (default: what the task needs)", low=8
    )
    prepare_gb: float = option(20.0, "most disk space that prepared data may take, in GB", low=0)
    order: Literal["auto", "items", "shards"] = option(
        "auto",
        "how an epoch is shuffled: items, all together; shards (of a prepared set), shards, and the items of "
        "--shard-window of them together, so that each shard is read once; auto: shards if the set is remote",
    )
    shard_window: int = option(
        8, "of --order shards: shards that are shuffled together; negatives come from these", low=1
    )

    def check(self) -> None:
        """Raise :class:`UserError` for values that make no sense."""
        check_bounds(self)
        data_sources.column_of(self.sources_asked, self.data)

    @property
    def sources_asked(self) -> str:
        """How sources are found: "content", "names", "none", or by a column."""
        return data_sources.asked(self.sources, self.source_column)


@dataclass(frozen=True)
class Parts:
    """What a task trains on, is validated on, and is evaluated on; the last two None where there is none.

    ``sources``: those of all that was opened, before it was divided.
    """

    train: Media
    validation: Media | None
    test: Media | None
    sources: data_sources.FoundSources | None = None

    @property
    def by_split(self) -> dict[str, Media]:
        """Those that there are, by the name of their split."""
        every = zip(SPLITS, (self.train, self.validation, self.test), strict=True)
        return {name: part for name, part in every if part is not None}


@dataclass(frozen=True)
class Opened:
    """Data that a task can use, before they are prepared: see :func:`opened` and :func:`prepared`."""

    task: Task
    options: DataOptions
    seed: int
    need_test: bool
    media: Media
    test: Media | None
    sources: data_sources.FoundSources


def gather(task: Task, options: DataOptions, seed: int, *, need_test: bool = True) -> Parts:
    """Open the data, prepare them if they fit, leave out what the task cannot use, and divide the rest by ``seed``.

    Raises:
        UserError: nothing there, nothing usable, or too little to divide (with ``need_test`` also for the controls).
    """
    return prepared(opened(task, options, seed, need_test=need_test))


def opened(task: Task, options: DataOptions, seed: int, *, need_test: bool = True) -> Opened:
    """The first half of :func:`gather`: everything that can be wrong with the data, before hours of preparing them."""
    options.check()
    # Each generated clip is a source of its own: nothing need be looked for.
    mode = "none" if options.data is None and options.test is None else options.sources_asked
    media, test = open_data(options.data, options.test, mode)
    with quiet():  # fails here where nothing can be used, before files are searched for common sources
        usable(media, task, options.data or GENERATED)
    found = Opened(task, options, seed, need_test, media, test, data_sources.find(media, test, mode))
    with quiet():  # fails here where too little can be held out
        _divided(found, lambda media: media)
    return found


def prepared(found: Opened) -> Parts:
    """The second half of :func:`gather`."""
    parts = _divided(found, lambda media: fast(media, found.task, found.options))
    _warn_of_shared(parts)
    parts = replace(parts, train=ordered(parts.train, found.task, found.options))
    log("items: " + ", ".join(f"{len(part)} for {name}" for name, part in parts.by_split.items()))
    return parts


def as_it_is(found: Opened) -> tuple[Parts, int]:
    """The data divided as :func:`prepared` does, but nothing is prepared; and about how many bytes that would write."""
    from avssl.media.prepared.in_cache import prepared_already

    options, written = found.options, 0

    def existing(media: Media) -> Media:
        nonlocal written
        if not options.prepare:
            return media
        side = options.prepare_side or found.task.stored_side()
        media, needed = prepared_already(media, side, found.task.sound_rate(), int(options.prepare_gb * 1e9))
        written += needed
        return media

    parts = _divided(found, existing)
    return replace(parts, train=ordered(parts.train, found.task, options)), written


def _divided(found: Opened, made: Callable[[Media], Media]) -> Parts:
    options, sources = found.options, found.sources
    # Sources were found in the files; what was prepared of them has the same items in the same order.
    media = data_sources.carried(sources.data, found.media, made(found.media))
    media = usable(media, found.task, options.data or GENERATED)
    test = None
    if found.test is not None and options.test is not None:
        assert sources.test is not None
        test = usable(data_sources.carried(sources.test, found.test, made(found.test)), found.task, options.test)
        test = of_split(test, "test") or test
    parts = divide(media, test, options, found.seed, need_test=found.need_test, copies=sources.copies)
    return replace(parts, sources=sources)


def _warn_of_shared(parts: Parts) -> None:
    """Log it where the data's own splits, or separate test data, contain sources that were trained on."""
    if parts.test is None:
        return
    trained = set(column_of(parts.train, "source"))
    shared = [i for i, source in enumerate(column_of(parts.test, "source")) if source in trained]
    if shared:
        first = Path(parts.test.facts(shared[0]).path).name
        log(
            f"{len(shared)} of the {len(parts.test)} test items come from sources in the training data ({first} …): "
            "these figures do not show how it does on new sources"
        )


def held_out_of(run: TrainedTask) -> Media:
    """What a run held out of its own data: its test part, or, of a run that has none, its validation part.

    Divided as the training divided it, so that it is evaluated on nothing that it learned from.

    Raises:
        UserError: the run held nothing out.
    """
    held_out = parts_of(run).test
    assert held_out is not None
    return held_out


def parts_of(run: TrainedTask) -> Parts:
    """The parts of a run's own data, the test part of which is what :func:`held_out_of` gives.

    Raises:
        UserError: the run held nothing out.
    """
    # Without controls the training held out no test part: what it did not learn from is divided as it was then.
    need_test = bool(run.config.get("controls", True))
    parts = gather(run.task, options_of_run(run.config), run.options.seed, need_test=need_test)
    if parts.test is not None:
        return parts
    if parts.validation is None:
        raise UserError(f"{run.path} held nothing out of its data (--no-controls); give held-out data with --data")
    log(f"{run.path} held out no test part (--no-controls): its validation part is taken")
    return replace(parts, test=parts.validation)


def options_of_run(config: Mapping[str, Any]) -> DataOptions:
    """The data options of a run, from its config: one that was made before sources were found divides as it did."""
    from avssl.evaluate.data.load_run import from_plain

    return from_plain(DataOptions, {**config, "sources": data_sources.of_config(config)})


def trained_part(task: Task, options: DataOptions, seed: int, need_test: bool) -> Media:
    """What a training with these options learns from; nothing is prepared and nothing logged."""
    with quiet():  # an evaluation asks what the run was trained on; the training has logged all of it
        return _divided(opened(task, options, seed, need_test=need_test), lambda media: media).train


# Data of so many files, or a table or tar of so many bytes, are looked into before torch is loaded: that takes less
# time than loading it, and the index is kept for the training.
FEW = 32
SHORT_TABLE = 2**16


def refuse_unusable(options: DataOptions) -> None:
    """Raise :class:`UserError` for data that are not there, and for few files of which none can be used."""
    options.check()
    refuse_missing(options.data, options.test)
    from avssl.media.opening import open_media

    for place in (options.data, options.test):
        # The files of a data set of Hugging Face's are written into the cache first, which may take long.
        if place is None or torchvision_data.is_torchvision(place) or hf_dataset.is_hf_dataset(place):
            continue
        path = Path(place).expanduser()
        if is_remote(place):
            few = True  # only its index is fetched, which is kept
        elif path.is_dir():
            few = sum(1 for _ in islice(path.rglob("*"), FEW + 1)) <= FEW
        else:
            few = path.stat().st_size <= SHORT_TABLE
        if few:
            open_media(place)


def fast(media: Media, task: Task, options: DataOptions) -> Media:
    """The media prepared in the cache, if they may be and fit; else themselves. Small images are kept in memory."""
    from avssl.media.in_memory import in_memory
    from avssl.media.prepared.in_cache import ensure_prepared

    if not options.prepare:
        return in_memory(media)
    side = options.prepare_side or task.stored_side()
    return in_memory(ensure_prepared(media, side, task.sound_rate(), int(options.prepare_gb * 1e9), log))


def ordered(media: Media, task: Task, options: DataOptions) -> Media:
    """The media with their epochs in the order that is asked for.

    Raises:
        UserError: by shards, and they are not stored in shards.
    """
    from avssl.samplers.order import ByShards, stored_in

    by_shards = options.order == "shards"
    if options.order == "auto":
        # From elsewhere a shard is fetched whole: items in any order would fetch each many times.
        stored = stored_in(media)
        by_shards = stored is not None and stored[0].is_remote
    if not by_shards:
        return media
    found = ByShards(media, options.shard_window, task.length(media))
    log(f"order: by shards ({found.shard_count}), the items of {options.shard_window} at a time shuffled")
    return found


def usable(media: Media, task: Task, name: str) -> Subset:
    """The items that the task can use; says how many it cannot, and why.

    Raises:
        UserError: it can use none of them.
    """
    reasons = [task.unusable(facts) for facts in facts_of(media)]
    counts = Counter(reason for reason in reasons if reason is not None)
    listed = ", ".join(f"{count} × {reason}" for reason, count in counts.most_common())
    kept = [i for i, reason in enumerate(reasons) if reason is None]
    if not kept:
        raise UserError(f"{task.name} can use none of the {counted(len(media), 'item')} in {name}: {listed}")
    if counts:
        log(f"{task.name} leaves out {len(media) - len(kept)} of {counted(len(media), 'item')} in {name}: {listed}")
    return Subset(media, np.array(kept))


def of_split(media: Media, split: str) -> Subset | None:
    """The items of a split; None if there are none."""
    chosen = np.flatnonzero(column_of(media, "split") == split)
    return Subset(media, chosen) if len(chosen) else None


def divide(
    media: Subset,
    test: Subset | None,
    options: DataOptions,
    seed: int,
    *,
    need_test: bool = True,
    copies: Collection[str] = (),
) -> Parts:
    """Train, validation and test part: by the data's own splits where they have them, else by source.

    Args:
        test: held-out data that were named apart; files that are in both are not trained on.
        options: the shares.
        seed: of the division by source.
        copies: paths of files that have a copy among the test data under another name.

    Raises:
        UserError: too few sources to hold a part out.
    """
    rest = of_split(media, "train") or _without_splits(media)
    validation = of_split(media, "validation")
    if test is None and need_test:
        test = of_split(media, "test")
        if test is None:
            rest, test = hold_out(rest, options.test_share, seed)
            if test is None:
                raise UserError(
                    f"{counted(len(rest), 'item')} of {counted(_count_sources(rest), 'source')}: too few to hold "
                    "some out (2 sources for each part); give held-out data with --test, or --no-controls"
                )
    elif test is not None:
        rest = _without_items(rest, test, copies)
    # After the test part: the share is one of what is left to train on.
    if validation is None:
        rest, validation = hold_out(rest, options.validation_share, seed)
    return Parts(rest, validation, test)


def hold_out(media: Subset, share: float, seed: int) -> tuple[Subset, Subset | None]:
    """(rest, held out), both of two sources at least; None if there are too few."""
    counts = Counter(column_of(media, "source").tolist())
    first = held_out_order(counts, seed)[:SOURCES_A_PART]
    while sum(counts[source] for source in first) > share * len(media) and share < 1:
        share += 1 / len(media)  # item by item, as earlier versions did: a run must be divided as when it began
    if len(counts) >= 2 * SOURCES_A_PART and share < 1:
        rest, held_out = media.split_by_source(share, seed)
        if _count_sources(rest) >= SOURCES_A_PART:
            return rest, held_out
    return media, None


def _count_sources(media: Media) -> int:
    return len(set(column_of(media, "source")))


def _without_splits(media: Subset) -> Subset:
    """Data without a split "train": all that is in no other one."""
    kept = [i for i, split in enumerate(column_of(media, "split")) if split not in SPLITS]
    if not kept:
        raise UserError(
            "the data name a split for every item and none of them is 'train'; name some, or drop the column"
        )
    return media.subset(kept)


def _without_items(media: Subset, test: Subset, copies: Collection[str]) -> Subset:
    """What is not among the test data: a file in both must not be trained on."""
    theirs = set(column_of(test, "path")) | set(copies)
    kept = [i for i, path in enumerate(column_of(media, "path")) if path not in theirs]
    if not kept:
        raise UserError("--test holds all of --data; name other data, or leave --test out to hold out a part")
    return media.subset(kept)
