"""``avssl evaluate leaks TRAIN TEST``: what two lists or folders share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from avssl.cli.options import Command, Option
from avssl.cli.screen import say
from avssl.errors import UserError
from avssl.media.cache import write_json

RESULT = "leaks.json"
LISTED = 5


def run(argv: Sequence[str]) -> None:
    """Compare."""
    command = Command(
        "avssl evaluate leaks",
        "Compare what is trained on with what is judged on: clips that are in both, clips of one video in both\n"
        "(YouTube id, UCF101 group, ESC-50 recording), and with --frames pictures that look the same.\n"
        "TRAIN and TEST are lists (CSV, text), annotation files (JSON), or folders of media.",
        "avssl evaluate leaks vggss_144k.txt vggss_test.csv\navssl evaluate leaks train/ test/ --frames",
    )
    command.positional("train", "what is trained on")
    command.positional("test", "what is judged on")
    command.add(
        [
            Option("frames", bool, False, "also compare three frames of each item; both must be media"),
            Option("output", str | None, None, f"folder for {RESULT}", "-o", "DIR"),
        ]
    )
    values = command.parse(argv)
    from avssl.evaluate.localization.leaks import compare, names_of, near_duplicates

    found = compare(names_of(values["train"]), names_of(values["test"]))
    say(f"{values['train']}: {found.train} names; {values['test']}: {found.test} names")
    say(_counted(found.clips, found.test, "are in both"))
    say(_counted(found.videos, found.test, "are of a video that is in both"))
    result: dict[str, object] = {
        "lists": [values["train"], values["test"]],
        "names": [found.train, found.test],
        "clips": list(found.clips),
        "videos": list(found.videos),
    }
    if values["frames"]:
        if not (Path(values["train"]).is_dir() and Path(values["test"]).is_dir()):
            raise UserError("--frames wants two folders of media, not lists")
        from avssl.media import open_media

        twins = near_duplicates(open_media(values["train"]), open_media(values["test"]))
        say(f"{len(twins)} items of {values['test']} look like one of {values['train']}")
        for twin in twins[:LISTED]:
            say(f"  {twin.test} and {twin.train}: {twin.bits} of 64 bits differ")
        result["near_duplicates"] = [asdict(twin) for twin in twins]
    if values["output"] is not None:
        place = Path(values["output"]) / RESULT
        write_json(place, result)
        say(f"all of them in {place}")


def _counted(names: Sequence[str], whole: int, what: str) -> str:
    listed = "" if not names else f": {', '.join(names[:LISTED])}" + (" …" if len(names) > LISTED else "")
    return f"{len(names)} of {whole} {what} ({len(names) / whole:.1%}){listed}"
