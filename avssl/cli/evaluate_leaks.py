"""``avssl evaluate leaks TRAIN TEST``: what two lists or folders share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option
from avssl.errors import UserError
from avssl.system.console import say
from avssl.system.files import write_json

if TYPE_CHECKING:
    from avssl.media.facts import Media

RESULT = "leaks.json"
LISTED = 5


def run(argv: Sequence[str]) -> None:
    """Compare."""
    command = Command(
        "avssl evaluate leaks",
        "Compare what is trained on with what is judged on: clips that are in both, clips of one video in both\n"
        "(YouTube id, UCF101 group, ESC-50 recording), of folders and tars also files with the same bytes under other\n"
        "names, and with --frames items that look or sound the same.\n"
        "TRAIN and TEST are lists (CSV, text), annotation files (JSON), or folders or tars of media.",
        "avssl evaluate leaks vggss_144k.txt vggss_test.csv\navssl evaluate leaks train/ test/ --frames",
    )
    command.positional("train", "what is trained on")
    command.positional("test", "what is judged on")
    command.add(
        [
            Option("frames", bool, False, "also compare pictures, sound, borders and hums; both must be media"),
            Option("output", str | None, None, f"folder for {RESULT}", "-o", "DIR"),
        ]
    )
    values = command.parse(argv)
    from avssl.evaluate.localization.leaks import compare, copied, is_media, names_of, near_duplicates, same_bytes

    found = compare(names_of(values["train"]), names_of(values["test"]))
    say(f"{values['train']}: {found.train} names; {values['test']}: {found.test} names")
    if found.by_path:
        say("file names repeat across folders or are mere numbers: names are paths within each set")
    say(_counted(found.clips, found.test, "have the same path in both" if found.by_path else "are in both"))
    alike = None
    if found.by_path and found.clips and is_media(values["train"]) and is_media(values["test"]):
        alike = same_bytes(values["train"], values["test"], found.clips)
        rest = "" if len(alike) == len(found.clips) else "; the others may share a number only: --frames compares them"
        say(f"{len(alike)} of these {len(found.clips)} are the same file, byte for byte{rest}")
    twins_by_bytes: dict[str, str] | None = None
    if is_media(values["train"]) and is_media(values["test"]):
        twins_by_bytes = copied(values["train"], values["test"])
        renamed = [f"{test} = {train}" for test, train in twins_by_bytes.items()]
        say(_counted(renamed, found.test, "are byte for byte a file of " + values["train"]))
    if not found.by_path or found.videos != found.clips:
        say(_counted(found.videos, found.test, "are of a video that is in both"))
    result: dict[str, object] = {
        "lists": [values["train"], values["test"]],
        "names": [found.train, found.test],
        "compared_by": "path" if found.by_path else "file name",
        "clips": list(found.clips),
        "videos": list(found.videos),
        **({} if twins_by_bytes is None else {"copies": twins_by_bytes}),
        **({} if alike is None else {"same_bytes": alike}),
    }
    if not values["frames"] and is_media(values["train"]) and is_media(values["test"]):
        say("names and bytes were compared; --frames also compares pictures, sound, borders and hums")
    if values["frames"]:
        if not all(is_media(values[name]) for name in ("train", "test")):
            raise UserError("--frames wants two folders of media (or tars), not lists")
        from avssl.media import open_media

        twins = near_duplicates(open_media(values["train"]), open_media(values["test"]))
        say(f"{len(twins)} items of {values['test']} look like one of {values['train']}")
        for twin in twins[:LISTED]:
            say(f"  {twin.test} and {twin.train}: {twin.bits} of 63 bits differ")
        result["near_duplicates"] = [asdict(twin) for twin in twins]
        result["sources"] = _shared_sources(open_media(values["train"]), open_media(values["test"]), values["test"])
    if values["output"] is not None:
        place = Path(values["output"]) / RESULT
        write_json(place, result)
        say(f"all of them in {place}")


def _shared_sources(train: Media, test: Media, name: str) -> list[dict[str, object]]:
    """What both were cut from, by names, pictures, sound, borders and hums; says how many, and by what."""
    from avssl.media.sources import sources_in_both

    groups = sources_in_both(train, test)
    rules: dict[str, set[int]] = {}
    for group in groups:
        rules.setdefault(group.rule, set()).update(i for i in group.items if i >= len(train))
    shared = set().union(*rules.values())
    by = ", ".join(f"{len(items)} by {rule}" for rule, items in rules.items())
    say(f"{len(shared)} of the {len(test)} items of {name} share a source with the other set{f' ({by})' if by else ''}")
    for group in groups[:LISTED]:
        say(f"  {group.paths[0]} and {group.paths[-1]}: {group.words}")
    return [asdict(group) for group in groups]


def _counted(names: Sequence[str], whole: int, what: str) -> str:
    listed = "" if not names else f": {', '.join(names[:LISTED])}" + (" …" if len(names) > LISTED else "")
    return f"{len(names)} of {whole} {what} ({len(names) / whole:.1%}){listed}"
