"""What leaves this machine names data and files, but not the folders that they lie in here."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# An absolute path within a text: not behind a letter ("and/or"), a colon ("s3://") or "<" (of a tag's end).
_WITHIN = re.compile(r"""(?<![\w.:/<~])(?:~|[A-Za-z]:)?[/\\][^\s'",;:()<>|]*[^\s'",;:()<>|.]""")
_WHOLE = re.compile(r"~|/|\.{1,2}/|[A-Za-z]:[/\\]")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def without_places(value: Any, key: str = "") -> Any:
    """The same value of JSON or YAML with the last name of each local path in the place of the path.

    Credentials and queries are taken out of URLs.

    Args:
        key: under which a mapping holds it; a ``command`` is taken word by word.
    """
    if isinstance(value, dict):
        return {without_places(name): without_places(one, str(name)) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(one) for one in value]
    if not isinstance(value, str):
        return value
    if key == "command":
        try:
            return shlex.join(_word(word) for word in shlex.split(value))
        except ValueError:  # a quote that is not closed
            pass
    return _word(value)


def _word(text: str) -> str:
    flag, equals, rest = text.partition("=")
    if equals and flag.startswith("-"):
        return f"{flag}={_word(rest)}"
    if _URL.match(text):
        parts = urlsplit(text)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    # Alone it may hold spaces; "torchvision:NAME:FOLDER" and "timm:NAME:FILE" hold theirs behind colons.
    if _WHOLE.match(text) and "\n" not in text and not _URL.search(text):
        return _last(text)
    head, colon, place = text.rpartition(":")
    if colon and " " not in head and _WHOLE.match(place):
        return f"{head}:{_last(place)}"
    return _WITHIN.sub(lambda found: _last(found[0]), text)


def _last(place: str) -> str:
    name = PureWindowsPath(place).name if "\\" in place else PurePosixPath(place).name
    return name if name not in ("", ".", "..", "~") else "here"
