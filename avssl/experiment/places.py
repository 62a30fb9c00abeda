"""Data by the words that name them: opened, known to be there, and named so that any folder will do."""

from __future__ import annotations

from pathlib import Path

from avssl.errors import UserError
from avssl.experiment import sources as data_sources
from avssl.experiment import torchvision_data
from avssl.media import hf_dataset
from avssl.media.facts import Media
from avssl.system.console import log
from avssl.system.remote import is_remote


def open_source(source: str | None, source_column: str | None = None) -> Media:
    """The media of a place, or the generated world where none is named."""
    if source is None:
        from avssl.experiment.generated import default_world

        source = str(default_world())
    if torchvision_data.is_torchvision(source):
        return torchvision_data.open_torchvision(source)
    from avssl.media.opening import open_media  # the decoder takes a moment to load: not for help

    media = open_media(source, source_column=source_column)
    offer_tables(source)
    # A world has a truth beside every clip: these are no media, and no fault either.
    if unusable := [file for file in media.rejected if not about_others(file.path)]:
        first = unusable[0]
        more = len(unusable) - 1
        rest = f" (and {more} more; avssl index {source} names them)" if more else ""
        log(f"not usable: {first.path}: {first.reason}{rest}")
    return media


def about_others(path: str) -> bool:
    """Whether a file that is no medium describes others, as ground truth and tables beside them do."""
    return path.lower().endswith((".json", ".csv", ".tsv"))


def offer_tables(source: str) -> None:
    """Log which tables in a folder list its files; none is used unasked."""
    from avssl.media.indexing.clip_tables import offered_tables
    from avssl.media.prepared.read import is_prepared

    if Path(source).is_dir() and not is_prepared(Path(source)):
        for line in offered_tables(Path(source)):
            log(line)


def refuse_missing(*places: str | Path | None) -> None:
    """Refuse data, runs and files that are not there, before anything heavy is loaded.

    Args:
        places: as ``--data`` or ``--run`` name them; None of those that are not given.

    Raises:
        UserError: names the first.
    """
    for place in places:
        if place is None or is_remote(str(place)):  # a set that lies elsewhere answers for itself
            continue
        path = Path(place)
        if torchvision_data.is_torchvision(str(place)):
            path = Path(torchvision_data.named(str(place))[1])
        elif hf_dataset.is_hf_dataset(place):
            if hf_dataset.on_hub(str(place)):
                continue
            path = hf_dataset.named(str(place))[0]
        if not path.expanduser().exists():
            raise UserError(f"{place}: no such file or folder")


def open_data(source: str | None, test: str | None, mode: str) -> tuple[Media, Media | None]:
    """Data, and test data that are named apart; a mode that is a column is read from every table among them."""
    column = data_sources.column_of(mode, source)
    media = open_source(source, column)
    if test is None:
        return media, None
    return media, open_source(test, column if data_sources.is_table(test) else None)


def open_sourced(source: str, test: str | None, mode: str) -> tuple[Media, Media | None]:
    """As :func:`open_data`; items name their sources, and what was cut from one thing has one source in both."""
    return sourced(*open_data(source, test, mode), mode)


def sourced(media: Media, test: Media | None, mode: str) -> tuple[Media, Media | None]:
    """Both collections with the sources that are found in them together."""
    found = data_sources.find(media, test, mode)
    if test is None or found.test is None:
        return data_sources.carried(found.data, media, media), None
    return data_sources.carried(found.data, media, media), data_sources.carried(found.test, test, test)


def absolute_source(source: str) -> str:
    """The same data whatever folder a command is typed in: as a run's config keeps it."""
    if torchvision_data.is_torchvision(source):
        return torchvision_data.absolute(source)
    if hf_dataset.is_hf_dataset(source):
        return hf_dataset.absolute(source)
    if is_remote(source):
        return source
    return str(Path(source).expanduser().absolute())
