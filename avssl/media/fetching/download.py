"""One clip: yt-dlp finds where its streams lie, PyAV reads the seconds that are wanted from there.

Not yt-dlp's own downloader: for a stretch it starts the program ``ffmpeg``, which says of a refusal nothing but that it
ended, and without which it fetches the whole video.
"""

from __future__ import annotations

import errno
import importlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import av

from avssl.errors import UserError, reason_of
from avssl.installation import install_hint
from avssl.media.fetching.cutting import CutOff, NothingThere, cut
from avssl.media.fetching.lists import Clip
from avssl.media.fetching.pace import Pace, seconds_of
from avssl.media.fetching.streams import TIMEOUT_SECONDS, Address, Piece, Pieces, Stream
from avssl.system.files import whole_path

State = Literal["fetched", "dead", "failed"]

# FFmpeg reads the first two from their address; of DASH, which PyAV's has not, the pieces are fetched.
_READABLE = "[protocol~='^(https?|m3u8(_native)?|http_dash_segments)$']"

# What sites say, in the order in which it is looked for: "sign in to confirm you're not a bot" is no private video.
_SAYINGS = (
    ("refused", r"not a bot|rate.?limit|too many requests|captcha|try again later"),
    ("age", r"confirm your age|age.restricted|inappropriate for some"),
    ("private", r"private|members.only|granted access|join this channel|log ?in (is )?required|requires payment"),
    ("region", r"your country|your location|geo.?restrict"),
    ("gone", r"unavailable|not available|removed|terminated|deleted|does not exist|no longer|unsupported url|no video"),
)
_STATUSES = {401: "private", 403: "private", 404: "gone", 410: "gone", 451: "region", 429: "refused", 503: "refused"}


@dataclass(frozen=True)
class Outcome:
    """What became of a clip.

    Attributes:
        state: "failed" may go well another time, "dead" will not.
        kind: of what is dead "gone", "private", "age" or "region"; of what failed "refused" (the host wants to be left
            alone), "unreachable" or "passing".
        forbidden: a 403, which a host also answers with that has had enough of the asker.
        wait_seconds: after which the host wants to be asked again, where it says so.
    """

    state: State
    kind: str = ""
    reason: str = ""
    seconds: float = 0.0
    bytes: int = 0
    forbidden: bool = False
    wait_seconds: float = 0.0


class Stopped(Exception):
    """All is to end."""


class Downloader:
    """Fetches clips; its method may be called by several threads.

    Args:
        folder: for the files.
        shorter_side: pixels at most.
        pause_seconds: between two starts at one host.
        retries: retries after a failure that may be temporary.
        cookies: file of them, as browsers export it.
        stop: set when all is to end.
    """

    def __init__(
        self,
        folder: Path,
        shorter_side: int,
        pause_seconds: float,
        retries: int,
        cookies: Path | None,
        stop: threading.Event,
    ) -> None:
        self._yt_dlp = _yt_dlp()
        self._folder, self._side, self._pause, self._retries = folder, shorter_side, pause_seconds, retries
        self._stop = stop
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._own = threading.local()  # a YoutubeDL is for one thread
        self._options = {
            "quiet": True,
            "no_warnings": True,
            "noprogress": True,
            "noplaylist": True,
            "logger": _Silent(),
            "cachedir": False,
            "socket_timeout": TIMEOUT_SECONDS,
            "extractor_retries": 0,  # with our own pace instead
            "retries": 0,
            "format": f"bv*{_READABLE}+ba{_READABLE}/b{_READABLE}/bv*{_READABLE}",
            # The largest that is not larger than asked; H.264 decodes fastest.
            "format_sort": [f"res:{shorter_side}", "vcodec:h264"],
            **({"cookiefile": str(cookies)} if cookies else {}),
        }

    def fetch(self, clip: Clip) -> Outcome:
        """Fetch a clip; its file is there only when it is whole.

        Raises:
            HostRefuses: see :class:`Pace`.
            Stopped: all is to end.
            UserError: the disk is full.
        """
        address = clip.address.replace("{id}", clip.video)
        pace = self._pace_of(address)
        for tries_left in range(self._retries, -1, -1):
            pace.wait()
            self._going()
            outcome = self._try(clip, address)
            self._going()
            if outcome.kind in ("refused", "unreachable") or outcome.forbidden:
                pace.refused(outcome.reason, slower=outcome.kind == "refused", wait_seconds=outcome.wait_seconds)
            else:
                pace.answered()
            if outcome.state != "failed" or not tries_left:
                break
        return outcome

    def _try(self, clip: Clip, address: str) -> Outcome:
        try:
            found = self._find(address)
            # Failures to write end the command; those below are the clip's.
            with whole_path(self._folder / f"{clip.stem}.mp4") as partial:
                length = self._cut(found, partial, clip)
                return Outcome("fetched", seconds=length, bytes=partial.stat().st_size)
        except _Failed as failure:
            return failure.outcome

    def _find(self, address: str) -> list[Stream]:
        if not hasattr(self._own, "ydl"):
            self._own.ydl = self._yt_dlp.YoutubeDL(self._options)
        ydl = self._own.ydl
        try:
            info = ydl.extract_info(address, download=False)
        except self._yt_dlp.utils.YoutubeDLError as error:
            raise _Failed(_outcome_of(error, self._yt_dlp.networking.exceptions.RequestError)) from error
        while info and "entries" in info:  # a page with several: the first
            info = next(iter(info["entries"]), None)
        formats = (info.get("requested_formats") or [info]) if info else []
        if not formats or not all(_is_web(each.get("url")) for each in formats):
            raise _Failed(Outcome("dead", "gone", "no video there"))
        return [self._stream(each) for each in formats]

    def _stream(self, found: Mapping[str, Any]) -> Stream:
        ydl = self._own.ydl
        headers = _headers(found, ydl)
        if not isinstance(pieces := found.get("fragments"), list):
            return Address(found["url"], headers)

        def fetch(url: str) -> bytes:
            self._going()
            with ydl.urlopen(self._yt_dlp.networking.Request(url, headers=headers)) as answer:
                data: bytes = answer.read()
            return data

        base = str(found.get("fragment_base_url") or found["url"])
        return Pieces(
            [Piece(urljoin(base, str(one.get("url") or one["path"])), one.get("duration")) for one in pieces], fetch
        )

    def _cut(self, found: list[Stream], partial: Path, clip: Clip) -> float:
        no_answer = self._yt_dlp.networking.exceptions.RequestError
        try:
            return cut(found, partial, clip.start or 0.0, clip.seconds, self._side, self._going)
        except NothingThere as error:
            raise _Failed(Outcome("dead", "gone", str(error))) from error
        except CutOff as error:
            raise _Failed(Outcome("failed", "passing", str(error))) from error
        except no_answer as error:
            raise _Failed(_outcome_of(error, no_answer)) from error
        except av.error.HTTPTooManyRequestsError as error:
            raise _Failed(Outcome("failed", "refused", "HTTP status 429")) from error
        except av.error.HTTPNotFoundError as error:
            raise _Failed(Outcome("dead", "gone", "HTTP status 404")) from error
        except av.error.HTTPServerError as error:  # of which FFmpeg does not say the number: 503 may be among them
            raise _Failed(Outcome("failed", "refused", reason_of(error))) from error
        except av.error.FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # of our own disk
                raise
            kind = "unreachable" if isinstance(error, ConnectionError | TimeoutError) else "passing"
            what = f"reading it: {error.strerror or type(error).__name__}"
            forbidden = isinstance(error, av.error.HTTPForbiddenError)
            raise _Failed(Outcome("failed", kind, what, forbidden=forbidden)) from error

    def _going(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _pace_of(self, address: str) -> Pace:
        host = urlsplit(address).netloc or address
        with self._lock:
            return self._paces.setdefault(host, Pace(host, self._pause, self._stop))


class _Failed(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Silent:
    """What yt-dlp would print is in its errors."""

    def debug(self, text: str) -> None: ...

    def info(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def error(self, text: str) -> None: ...


def _yt_dlp() -> Any:
    try:
        return importlib.import_module("yt_dlp")
    except ModuleNotFoundError as error:
        raise UserError(f"avssl fetch needs the package yt-dlp; {install_hint('fetch')}") from error


def _is_web(url: object) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://"))


def _headers(found: Mapping[str, Any], ydl: Any) -> dict[str, str]:
    headers = {str(name): str(value) for name, value in (found.get("http_headers") or {}).items()}
    headers.pop("Accept-Encoding", None)  # FFmpeg reads what is not compressed
    cookie = ydl.cookiejar.get_cookie_header(found["url"])
    return {**headers, **({"Cookie": cookie} if cookie else {})}


def _outcome_of(error: Any, no_answer: type[Exception]) -> Outcome:
    """What yt-dlp's error means: by the status of the answer, else by what the site says.

    Args:
        no_answer: its class of answers that are no success, and of none at all.
    """
    text = re.sub(r"\x1b\[[0-9;]*m|^ERROR: ", "", str(error))
    text = text.partition("; please report this issue")[0].partition(" (caused by")[0]
    reason = reason_of(Exception(text))
    # yt-dlp hands on what its extractor met, or the extractor's error about it.
    met = error if isinstance(error, no_answer) else (getattr(error, "exc_info", None) or (None, None))[1]
    cause = met if isinstance(met, no_answer) else getattr(met, "cause", None)
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        kind = _STATUSES.get(status, "unreachable" if status >= 500 else "passing")
    elif isinstance(cause, no_answer):
        kind = "unreachable"
    else:
        kind = next((kind for kind, saying in _SAYINGS if re.search(saying, text, re.IGNORECASE)), "passing")
    state: State = "failed" if kind in ("refused", "unreachable", "passing") else "dead"
    answer = getattr(cause, "response", None)
    later = "" if answer is None else str(answer.get_header("Retry-After") or "")
    return Outcome(state, kind, reason, forbidden=status == 403, wait_seconds=seconds_of(later))
