"""Remote folders (``s3://…``, ``gs://…``, ``hf://…``, ``https://…``), read through fsspec.

Trouble that may pass (503, a connection that is cut or hangs) is tried again a few times, with longer and longer waits
between; what the user can mend (credentials, a name) is one line at once.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from avssl.errors import UserError
from avssl.installation import install_hint

T = TypeVar("T")

# Waits between tries: services ask for exponential back-off, and a server that restarts is back after the last.
WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)

# A connection that stays silent for this long is given up and made anew.
SILENT_SECONDS = 60

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    "hf": "huggingface_hub",
}
# What the extra ``remote`` installs; the others are asked for by their own names.
_OF_EXTRA = ("s3fs", "aiohttp")

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and AWS_ENDPOINT_URL where it is not "
    "Amazon's; for a bucket that is public FSSPEC_S3='{\"anon\": true}'",
    "gs": "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS",
    "hf": "hf auth login, or HF_TOKEN",
}


def is_remote(name: object) -> bool:
    """Whether data are named by a URL."""
    return isinstance(name, str) and _URL.match(name) is not None


class RemoteFolder:
    """A folder named by a URL. Pickles as that URL; a process that is forked makes connections of its own.

    Raises:
        UserError: a package for this protocol is missing (all at once), or the protocol is not known.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._opened: tuple[int, Any, str] | None = None
        self._files()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_opened": None}

    def read(self, name: str) -> bytes:
        """A whole file, for small ones.

        Raises:
            UserError: it is not there, may not be read, or did not come in several tries.
        """
        # In one request: s3fs else asks for the size first, and what is wrong is told only to who asks for the file.
        alone = {"max_concurrency": 1} if self.url.startswith("s3") else {}
        return self._tried(name, lambda files, path: bytes(files.cat_file(path, **alone)))

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """``size`` bytes of a file from ``start`` on; raises as :meth:`read`."""

        # Of the Hub just these bytes: by default 5 MB are read ahead.
        alone = {"cache_type": "none"} if self.url.startswith("hf") else {}

        def piece(files: Any, path: str) -> bytes:
            data = bytes(files.cat_file(path, start=start, end=start + size, **alone)) if size else b""
            if len(data) > size:
                raise UserError(f"{self.url}: this server does not send parts of files (Range); use one that does")
            if len(data) < size:
                raise ConnectionError(f"only {len(data)} of {size} bytes came: the line was cut, or the file there is")
            return data

        return self._tried(name, piece)

    def size(self, name: str) -> int:
        """Bytes of a file, as the server says; raises as :meth:`read`."""
        return self._tried(name, lambda files, path: int(files.info(path)["size"]))

    def _tried(self, name: str, work: Callable[[Any, str], T]) -> T:
        files, root = self._files()
        last: BaseException | None = None
        for wait in (0.0, *WAITS_SECONDS):
            time.sleep(wait)
            try:
                return work(files, f"{root}/{name}")
            except troubles() as error:
                self._refuse_what_stays(name, error)
                last = error
        reason = " ".join(str(last).split()) or type(last).__name__
        tries = 1 + len(WAITS_SECONDS)
        raise UserError(
            f"{self.url}/{name} could not be read in {tries} tries ({reason[:300]}); run the same command again later"
        ) from last

    def _refuse_what_stays(self, name: str, error: BaseException) -> None:
        """Raise UserError for trouble that the user can mend and time cannot."""
        words, protocol = " ".join(str(error).split())[:300], self.url.partition("://")[0]
        status = next((found for found in map(status_of, causes_of(error)) if found), 0)
        if isinstance(error, FileNotFoundError) or status == 404:
            raise NothingThere(f"{self.url}/{name}", words) from error
        no_token = status == 400 and "token" in words.lower()  # S3's InvalidToken
        if isinstance(error, PermissionError) or status in (401, 403) or no_token or "credentials" in words.lower():
            mend = _CREDENTIALS.get(protocol, "this server wants a name or token that it was not given")
            raise UserError(f"{self.url}/{name} may not be read ({words}); {mend}") from error
        if status == 416:
            raise UserError(f"{self.url}/{name} is shorter than its index says; copy the set there again") from error
        if any(isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME for cause in causes_of(error)):
            raise UserError(f"{self.url}: there is no such host ({words}); look at its name") from error
        if type(error).__name__ in _OF_THE_NAME or isinstance(error, ValueError):
            raise UserError(f"{self.url} cannot be read ({words}); look at the name of the place") from error

    def _files(self) -> tuple[Any, str]:
        """fsspec's file system, and the folder's path in it. Connections do not survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *_open(self.url))
        return self._opened[1:]


class NothingThere(UserError):
    """The file, or the bucket or folder that it should lie in, is not there.

    Args:
        url: of the file.
        words: what the server says.
    """

    def __init__(self, url: str, words: str = "") -> None:
        super().__init__(f"{url}: there is no such file ({words}); look at the name of the place" if words else url)
        self.words = words

    def __reduce__(self) -> tuple[type[NothingThere], tuple[str, str]]:
        return (type(self), (str(self).partition(": there is")[0], self.words))


# Errors of aiohttp and botocore about a URL or bucket name that can be none.
_OF_THE_NAME = ("InvalidURL", "InvalidUrlClientError", "NonHttpUrlClientError", "ParamValidationError")


def _open(url: str) -> tuple[Any, str]:
    protocol = url.partition("://")[0].lower()
    for package in ("fsspec", *filter(None, [_PACKAGES.get(protocol)])):
        try:
            importlib.import_module(package)
        except ImportError:
            _refuse_without(url, package)
    core = importlib.import_module("fsspec.core")
    try:
        files, path = core.url_to_fs(url, **_options(protocol))
    except ImportError as error:
        raise UserError(f"{url}: {' '.join(str(error).split())}") from error
    except ValueError as error:
        known = "s3://, gs://, hf://, https://"
        raise UserError(f"{url}: {protocol}:// is no protocol that can be read; there are {known}") from error
    if protocol in ("s3", "s3a"):
        files.retries = 1
    return files, path.rstrip("/")


def _refuse_without(url: str, package: str) -> NoReturn:
    if package == "fsspec" or package in _OF_EXTRA:
        mend = f"{install_hint('remote')} (in a clone of avssl: pip install -e '.[remote]')"
    else:
        mend = f"pip install {package}"
    raise UserError(f"{url}: to read it the package {package} is missing: {mend}") from None


def _options(protocol: str) -> dict[str, Any]:
    """Limits of time and tries; what the user has configured for fsspec (``FSSPEC_S3`` …) comes before them."""
    configured: dict[str, Any] = importlib.import_module("fsspec.config").conf.get(protocol, {})
    if protocol in ("s3", "s3a"):
        # The tries are ours: botocore's own five, times s3fs's five, times ours would ask a busy server all day.
        ours = {"retries": {"total_max_attempts": 1}, "connect_timeout": 20, "read_timeout": SILENT_SECONDS}
        return {"config_kwargs": {**ours, **configured.get("config_kwargs", {})}, "skip_instance_cache": True}
    if protocol in ("http", "https"):
        aiohttp = importlib.import_module("aiohttp")
        # No limit for a whole answer: a piece of a shard may take minutes over a slow line.
        limits = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=SILENT_SECONDS)
        # Places in a file are places in what is stored, not in what a server compresses on the way.
        ours = {"timeout": limits, "headers": {"Accept-Encoding": "identity"}}
        return {"client_kwargs": {**ours, **configured.get("client_kwargs", {})}}
    return {}


def troubles() -> tuple[type[BaseException], ...]:
    """What reading may raise: fsspec passes on what the libraries below it raise, of those that are loaded."""
    found: list[type[BaseException]] = [OSError, asyncio.TimeoutError, ValueError]
    for module, names in (
        ("aiohttp", ["ClientError"]),
        ("botocore.exceptions", ["BotoCoreError", "ClientError"]),
        ("gcsfs.retry", ["HttpError"]),
        ("google.auth.exceptions", ["GoogleAuthError"]),
        ("huggingface_hub.errors", ["HfHubHTTPError", "EntryNotFoundError", "RevisionResolutionError"]),
        ("httpx", ["HTTPError"]),
        ("httpx2", ["HTTPError"]),  # huggingface_hub's from 2 on
    ):
        loaded = sys.modules.get(module)
        found += [getattr(loaded, name) for name in names if hasattr(loaded, name)]
    return tuple(found)


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised for, the nearest first."""
    while error is not None:
        yield error
        # aiohttp keeps the system's error of a failed connection as an attribute.
        inner = getattr(error, "os_error", None)
        if isinstance(inner, BaseException):
            yield inner
        error = error.__cause__ or error.__context__


def status_of(error: BaseException) -> int:
    """The HTTP status that an error tells; 0 where it tells none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for status in (getattr(error, "status", None), getattr(response, "status_code", None)):
        if isinstance(status, int):
            return status
    return 0
