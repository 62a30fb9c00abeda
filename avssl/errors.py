"""Errors that a user can cause, or that a file can cause: one line that names the thing and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """Something that the person at the keyboard can mend.

    The message is one line: what is wrong and how to mend it. The command line prints it as
    ``avssl: …`` on stderr and ends with status 2; no traceback.
    """


class NothingUsable(UserError):
    """Of the files that were named none can be used.

    Args:
        message: the line.
        root: the folder or tar that they lie in.
        rejected: each of them with its reason.
    """

    # With defaults: pickle calls it with the message alone, and restores the rest.
    def __init__(self, message: str, root: str = "", rejected: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.root = root
        self.rejected = tuple(rejected)


class MediaError(UserError):
    """A file that could not be read where it was asked for.

    Args:
        path: the file, as it was named.
        reason: what is wrong, in a few words ("no video stream", "truncated after 1.20 s").
        seconds: the moment that was asked for on the media's clock, if there was one.
    """

    # A reason by default: torch's loader raises what a worker met anew, from its text alone.
    def __init__(self, path: str, reason: str = "", seconds: float | None = None) -> None:
        self.path = path
        self.reason = reason
        self.seconds = seconds
        moment = "" if seconds is None else f" at {seconds:.3f} s"
        super().__init__(f"{path}{moment}: {reason}" if reason else path)

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str, float | None]]:
        # Pickled with its own arguments, so that it survives the way back from a loader worker.
        return (type(self), (self.path, self.reason, self.seconds))


def reason_of(error: BaseException) -> str:
    """What an error of a library says, for the end of a line: in one line, cut; its type where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def did_you_mean(name: object, known: Iterable[str], otherwise: str | None = None) -> str:
    """The end of an error about a name that there is not: "; did you mean 'rotation'?".

    Args:
        name: what was asked for, of whatever type.
        known: what there is.
        otherwise: what is said where nothing is near; by default all that there is, for "" nothing.
    """
    there = list(known)
    near = difflib.get_close_matches(str(name), there, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if otherwise is None:
        otherwise = f"there are: {', '.join(there)}"
    return f"; {otherwise}" if otherwise else ""
