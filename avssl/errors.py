"""Errors that a user can cause, or that a file can cause: one line that names the thing and the way out."""

from __future__ import annotations


class UserError(Exception):
    """Something that the person at the keyboard can mend.

    The message is one line: what is wrong and how to mend it. The command line prints it as
    ``avssl: …`` on stderr and ends with status 2; no traceback.
    """


class MediaError(UserError):
    """A file that could not be read where it was asked for.

    Args:
        path: the file, as it was named.
        reason: what is wrong, in a few words ("no video stream", "truncated after 1.20 s").
        seconds: the moment that was asked for on the media's clock, if there was one.
    """

    def __init__(self, path: str, reason: str, seconds: float | None = None) -> None:
        self.path = path
        self.reason = reason
        self.seconds = seconds
        moment = "" if seconds is None else f" at {seconds:.3f} s"
        super().__init__(f"{path}{moment}: {reason}")

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str, float | None]]:
        # Pickled with its own arguments, so that it survives the way back from a loader worker.
        return (type(self), (self.path, self.reason, self.seconds))
