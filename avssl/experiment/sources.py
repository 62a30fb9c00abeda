"""``--sources``: the sources of the data of a command, found once and carried through preparing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from avssl.errors import UserError
from avssl.options import option
from avssl.system.console import log

if TYPE_CHECKING:
    from avssl.media.facts import Facts, Media
    from avssl.media.sources import Sources

MODES = ("content", "names", "none")
DEFAULT = "content"
HELP = (
    "how sources are found, which are never split between parts: content (names, bytes, pictures, sound), names, none "
    "(each file is its own source), or a column of the CSV"
)
BEFORE = "none"  # of a run that was made before sources were found: its config has no such option


@dataclass(frozen=True)
class SourceOptions:
    """How sources are found in the data of a command that does not train."""

    heading: ClassVar[str] = "options"

    sources: str = option(DEFAULT, HELP)
    source_column: str | None = option(None, "the same as --sources COLUMN")

    @property
    def mode(self) -> str:
        """The mode or the column that was asked for; :class:`UserError` where the two contradict each other."""
        return asked(self.sources, self.source_column)


@dataclass(frozen=True)
class FoundSources:
    """The sources of data and of separate test data.

    Attributes:
        data: the source of each item.
        test: likewise of the test data, with the same names; None where there are none.
        copies: paths of the data whose bytes are also a file of the test data.
    """

    data: Sources
    test: Sources | None = None
    copies: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """How they were found, and each group with its rule, the name of its source, its files and the evidence."""
        names = self.data.names + (self.test.names if self.test is not None else ())
        return {
            "found_by": self.data.mode,
            "items": len(names),
            "sources": len(set(names)),
            "groups": [{"source": names[group.items[0]], **group.as_json()} for group in self.data.groups],
            "kept_apart": [likeness.as_json() for likeness in self.data.warnings],
        }


def asked(sources: str, source_column: str | None) -> str:
    """The mode or column that ``--sources`` and its alias ``--source-column`` give, which may not contradict it."""
    if source_column is None:
        return sources
    if sources not in (DEFAULT, source_column):
        raise UserError(f"--sources {sources} and --source-column {source_column} contradict each other; give one")
    return source_column


def column_of(mode: str, source: str | None) -> str | None:
    """The column that a table is to be opened with; None where the mode is no column, or the data are no table.

    Raises:
        UserError: a column is asked for and the data are no table.
    """
    if mode in MODES:
        return None
    if source is None or not is_table(source):
        raise UserError(
            f"--sources {mode}: is none of {', '.join(MODES)}, and {source or 'the generated world'} is not a CSV that "
            "could have such a column"
        )
    return mode


def is_table(place: str) -> bool:
    """Whether the data are a table, which may have a column of sources."""
    return Path(place).suffix.lower() in (".csv", ".tsv")


def of_config(config: Mapping[str, Any]) -> str:
    """The mode of a run's ``config.yaml``: runs from before the option kept every file its own."""
    return str(config.get("sources", BEFORE))


def find(media: Media, test: Media | None, mode: str) -> FoundSources:
    """Find the sources of the data, and of test data together with them; says what was put together."""
    from avssl.media.selection import Concatenated
    from avssl.media.sources import Sources as Found
    from avssl.media.sources import find_sources

    if mode == "content":
        _announce_reading([media] if test is None else [media, test])
    if test is None:
        found = find_sources(media, mode)
        _log(found, media)
        return FoundSources(found)
    # Together, so that what was cut from one thing has one name in both.
    whole = find_sources(Concatenated(media, test), mode)
    _log(whole, Concatenated(media, test))
    count = len(media)
    # Only copies by their bytes are certain; what merely looks alike stays in the training data.
    shared = (group for group in whole.groups if group.items[0] < count <= group.items[-1])
    copies = {media.facts(i).path for group in shared if group.rule == "bytes" for i in group.items if i < count}
    return FoundSources(
        Found(whole.names[:count], mode, whole.groups, whole.warnings),
        Found(whole.names[count:], mode, (), ()),
        frozenset(copies),
    )


def _announce_reading(every: Sequence[Media]) -> None:
    """Log it where looking for sources fetches a set from elsewhere, which may take long."""
    from avssl.media.prepared.read import Prepared
    from avssl.media.selection import underlying

    for media in every:
        base = underlying(media)[0]
        if isinstance(base, Prepared) and base.is_remote:
            log(
                f"to find items of one source each item of {base.name} is looked at, once, then that is remembered; "
                "--sources names goes by the index alone"
            )


def carried(sources: Sources, originals: Media, made: Media) -> Media:
    """A collection made of the originals (prepared, in memory), in order and perhaps without some, with their sources.

    Raises:
        ValueError: an item of it is none of the originals.
    """
    from avssl.media.selection import facts_of
    from avssl.media.sources import Sources as Found
    from avssl.media.sources import with_sources

    if len(made) == len(originals):  # nothing was left out, and the order is the same
        return with_sources(made, sources)
    names: list[str] = []
    # One walk through both, as their order is the same: the originals may be millions.
    there = zip(facts_of(originals), sources.names, strict=True)
    for facts in facts_of(made):
        wanted = _identity(facts)
        name = next((name for original, name in there if _identity(original) == wanted), None)
        if name is None:
            raise ValueError(f"{facts.path} is none of the items whose sources were found")
        names.append(name)
    return with_sources(made, Found(tuple(names), sources.mode, (), ()))


def _identity(facts: Facts) -> tuple[object, ...]:
    # The path alone does not do: a table may name several segments of one file.
    return facts.path, facts.label, facts.split, facts.source, round(facts.duration_seconds, 6)


def _log(found: Sources, media: Media) -> None:
    for line in found.lines():
        log(line)
    if found.mode == "none":
        _warn_of_parts(found, media)


def _warn_of_parts(found: Sources, media: Media) -> None:
    """Where every file is a source of its own: log what names and bytes, which are read at once, say against it."""
    from avssl.media.selection import column_of
    from avssl.media.sources import find_sources
    from avssl.system.digests import copies

    # Cheap clues alone: whoever says "none" does not want each file to be decoded for a warning.
    named = find_sources(media, "names")
    apart = [group.items for group in named.groups if len({found.names[i] for i in group.items}) > 1]
    items: dict[str, list[int]] = {}
    for i, path in enumerate(column_of(media, "path")):
        items.setdefault(path, []).append(i)
    twins = [
        tuple(i for path in group for i in items[path]) for group in copies([p for p in items if Path(p).is_file()])
    ]
    twins = [group for group in twins if len({found.names[i] for i in group}) > 1]
    kinds = [("by name", "to be parts of one source", apart), ("by their bytes", "to be copies", twins)]
    for how, what, groups in kinds:
        if groups:
            example = ", ".join(Path(media.facts(i).path).name for i in groups[0][:2])
            log(
                f"warning: {len({i for group in groups for i in group})} items seem {how} {what} ({example}) and are "
                "taken as sources of their own, as with --sources none: training and test parts may share them"
            )
