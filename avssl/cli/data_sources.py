"""``--sources``: what belongs together in the data of a command, found once and carried through preparing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.cli.words import Option
from avssl.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from avssl.media.facts import Facts, Media
    from avssl.media.sources import Likeness, Sources

MODES = ("content", "names", "none")
DEFAULT = "content"
HELP = (
    "what belongs together and is never divided: content (by names, and by what is seen and heard), names, none (each "
    "file its own), or the column of a CSV that says it"
)
BEFORE = "none"
"""Of a run that was made before sources were found: its config has no such option."""


def options() -> list[Option]:
    """The option and its alias, for commands that divide or judge by source and do not train."""
    return [
        Option("sources", str, DEFAULT, HELP),
        Option("source_column", str | None, None, "the same as --sources COLUMN"),
    ]


@dataclass(frozen=True)
class FoundSources:
    """The sources of data and of test data that were named apart.

    Attributes:
        data: the source of each item.
        test: likewise of the test data, with the same names; None where there are none.
        shared: what is in both.
        copies: paths of the data whose bytes are also a file of the test data.
    """

    data: Sources
    test: Sources | None = None
    shared: tuple[Likeness, ...] = ()
    copies: frozenset[str] = frozenset()


def asked(sources: str, source_column: str | None) -> str:
    """The mode or column that two options of one meaning name.

    Raises:
        UserError: they contradict each other.
    """
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
    if source is None or Path(source).suffix.lower() not in (".csv", ".tsv"):
        raise UserError(
            f"--sources {mode}: is none of {', '.join(MODES)}, and {source or 'the generated world'} is no CSV that "
            "could have such a column"
        )
    return mode


def of_config(config: Mapping[str, Any]) -> str:
    """The mode of a run's ``config.yaml``: runs from before the option kept every file its own."""
    return str(config.get("sources", BEFORE))


def find(media: Media, test: Media | None, mode: str, say: Callable[[str], None]) -> FoundSources:
    """Find the sources of the data, and of test data together with them; says what was put together."""
    from avssl.media.sources import Sources as Found
    from avssl.media.sources import find_sources
    from avssl.media.sources.both import Both

    if test is None:
        found = find_sources(media, mode)
        _tell(found, say)
        return FoundSources(found)
    whole = find_sources(Both(media, test), mode)
    _tell(whole, say)
    count = len(media)
    shared = tuple(group for group in whole.groups if group.items[0] < count <= group.items[-1])
    copies = {media.facts(i).path for group in shared if group.rule == "bytes" for i in group.items if i < count}
    return FoundSources(
        Found(whole.names[:count], mode, whole.groups, whole.warnings),
        Found(whole.names[count:], mode, (), ()),
        shared,
        frozenset(copies),
    )


def carried(sources: Sources, originals: Media, made: Media) -> Media:
    """A collection made of the originals (prepared, in memory), in order and perhaps without some, with their sources.

    Raises:
        ValueError: an item of it is none of the originals.
    """
    from avssl.media.sources import Sources as Found
    from avssl.media.sources import with_sources

    if len(made) == len(originals):
        return with_sources(made, sources)
    names, at = [], 0
    for j in range(len(made)):
        facts = _identity(made.facts(j))
        while at < len(originals) and _identity(originals.facts(at)) != facts:
            at += 1
        if at == len(originals):
            raise ValueError(f"{made.facts(j).path} is none of the items that sources were found of")
        names.append(sources.names[at])
        at += 1
    return with_sources(made, Found(tuple(names), sources.mode, (), ()))


def _identity(facts: Facts) -> tuple[object, ...]:
    return facts.path, facts.label, facts.split, facts.source, round(facts.duration_seconds, 6)


def _tell(found: Sources, say: Callable[[str], None]) -> None:
    for line in found.lines():
        say(line)
