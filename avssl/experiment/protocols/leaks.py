"""Which clips, videos and near-duplicate frames two lists or folders share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.experiment.protocols.base import OutputOptions, Subject
from avssl.experiment.results import Outcome
from avssl.options import argument, option
from avssl.system.console import counted, log

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.media.facts import Media

LISTED = 5  # examples in the log; leaks.json has all


@dataclass(frozen=True, kw_only=True)
class Leaks(OutputOptions):
    about = """Compare what is trained on with what is evaluated on: clips that are in both, clips of one video in both
    (YouTube id, UCF101 group, ESC-50 recording), of folders and tars also files with the same bytes under other names,
    and with --frames items that look or sound the same. TRAIN and TEST are lists (CSV, text), annotation files (JSON),
    or folders or tars of media."""
    examples = """avssl evaluate leaks vggss_144k.txt vggss_test.csv
    avssl evaluate leaks train/ test/ --frames"""
    no_encoder = "it compares two lists or folders"

    train: str = argument("what is trained on")
    test: str = argument("what is evaluated on")
    output: str | None = option(None, "folder for leaks.json", short="-o", metavar="DIR")
    frames: bool = option(False, "also compare pictures, sound, borders and hums; both must be media")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.localization.leaks import compare, copied, is_media, names_of, near_duplicates, same_bytes

        train, test = self.train, self.test
        media = is_media(train) and is_media(test)
        found = compare(names_of(train), names_of(test))
        log(f"{train}: {found.train} names; {test}: {found.test} names")
        if found.by_path:
            log("file names repeat across folders or are only numbers: names are paths within each set")
        log(_counted(found.clips, found.test, "have the same path in both" if found.by_path else "are in both"))
        result: dict[str, object] = {
            "lists": [train, test],
            "names": [found.train, found.test],
            "compared_by": "path" if found.by_path else "file name",
            "clips": list(found.clips),
            "videos": list(found.videos),
        }
        if media:
            # 0001.jpg in both may be two pictures: bytes tell.
            alike = same_bytes(train, test, found.clips) if found.by_path and found.clips else None
            if alike is not None:
                rest = "" if len(alike) == len(found.clips) else _BY_NUMBER
                log(f"{len(alike)} of these {len(found.clips)} are the same file, byte for byte{rest}")
            result["copies"] = copies = copied(train, test)
            renamed = [f"{one} = {other}" for one, other in copies.items()]
            log(_counted(renamed, found.test, f"are byte for byte a file of {train}"))
            result |= {} if alike is None else {"same_bytes": alike}
        if not found.by_path or found.videos != found.clips:
            log(_counted(found.videos, found.test, "are of a video that is in both"))
        if media and not self.frames:
            log("names and bytes were compared; --frames also compares pictures, sound, borders and hums")
        if self.frames:
            if not media:
                raise UserError("--frames needs two folders of media (or tars), not lists")
            from avssl.media.opening import open_media

            twins = near_duplicates(open_media(train), open_media(test))
            log(f"{counted(len(twins), 'item')} of {test} look like one of {train}")
            for twin in twins[:LISTED]:
                log(f"  {twin.test} and {twin.train}: {twin.bits} of 63 bits differ")
            result["near_duplicates"] = [asdict(twin) for twin in twins]
            result["sources"] = _shared_sources(open_media(train), open_media(test), test)
        # No title: the log has said all, and rows of shares would repeat it.
        return Outcome(name, _rows(result, found.test, subject.command), document=result)


_BY_NUMBER = "; the others may share a number only: --frames compares them"


def _shared_sources(train: Media, test: Media, name: str) -> list[dict[str, object]]:
    """What both were cut from, by names, pictures, sound, borders and hums; logs how many, and by what."""
    from avssl.media.sources import sources_in_both

    groups = sources_in_both(train, test)
    rules: dict[str, set[int]] = {}
    for group in groups:
        rules.setdefault(group.rule, set()).update(i for i in group.items if i >= len(train))
    shared = set().union(*rules.values())
    by = ", ".join(f"{len(items)} by {rule}" for rule, items in rules.items())
    log(
        f"{len(shared)} of the {counted(len(test), 'item')} of {name} share a source with the other set"
        + (f" ({by})" if by else "")
    )
    for group in groups[:LISTED]:
        log(f"  {group.paths[0]} and {group.paths[-1]}: {group.words}")
    return [asdict(group) for group in groups]


def _rows(result: Mapping[str, object], whole: int, command: str) -> list[ResultRow]:
    """What share of the test names is in both, each way to look for it."""
    from avssl.evaluate.core.rows import ResultRow

    found = {name: len(there) for name in ("clips", "videos", "copies") if isinstance(there := result.get(name), Sized)}
    nothing = float("nan")  # counted, not sampled: there is no interval
    return [
        ResultRow(name, "shared", count / whole, nothing, nothing, whole, None, "test", 0, "", command, "leaks")
        for name, count in found.items()
    ]


def _counted(names: Sequence[str], whole: int, what: str) -> str:
    listed = "" if not names else f": {', '.join(names[:LISTED])}" + (" …" if len(names) > LISTED else "")
    return f"{len(names)} of {whole} {what} ({len(names) / whole:.1%}){listed}"
