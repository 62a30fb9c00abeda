"""The routes of the explorer: each a few lines that call the library."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from importlib.resources import files
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from avssl.errors import MediaError, UserError
from avssl.explore.games import ROUNDS, open_game, plain, score
from avssl.explore.guard import Guard
from avssl.explore.library import Library
from avssl.explore.pictures import jpeg, spectrogram
from avssl.explore.stretch import OtherSound
from avssl.explore.uploads import LARGEST_UPLOAD, SOUND_RATE, Upload, read_upload
from avssl.report.embedded import wav
from avssl.search.rows import KINDS, Kind

_PAGE = files("avssl.explore") / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_MOST_ROWS = 200
_MOST_DIGITS = 12
_MOST_UPLOADED_BYTES = 512 << 20
"""Of decoded uploads that are remembered, for another search with the same or for laying one under a film."""

_REPORT_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "frame-ancestors 'self'; sandbox allow-scripts"
)


class Json(JSONResponse):
    """JSON in UTF-8 whatever is in its texts: names of files and folders need not be UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


class Uploads:
    """What visitors uploaded lately, by a digest of its content."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Upload] = OrderedDict()

    async def of(self, request: Request) -> tuple[str, Upload]:
        """The upload that a request carries.

        Raises:
            HTTPException: it is too large.
            UserError: it cannot be used.
        """
        content = await _body(request)
        key = hashlib.sha256(content).hexdigest()[:32]
        if key not in self._known:
            self._known[key] = await run_in_threadpool(read_upload, content, request.query_params.get("name", ""))
            while len(self._known) > 1 and sum(one.nbytes for one in self._known.values()) > _MOST_UPLOADED_BYTES:
                self._known.popitem(last=False)
        return key, self._known[key]

    def get(self, key: str) -> Upload:
        """An earlier upload.

        Raises:
            HTTPException: it is forgotten.
        """
        if key not in self._known:
            raise HTTPException(404, "this upload is forgotten; give it once more")
        self._known.move_to_end(key)
        return self._known[key]


class Pages:
    """What is answered at each address.

    Args:
        library: what is shown.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._uploads = Uploads()

    @property
    def routes(self) -> list[Route]:
        """Addresses and what answers them."""
        row, key, task = "/{row}", "/{key}", "/{task}"
        return [
            Route("/", self.page),
            Route("/page/{name}", self.page),
            Route("/report", self.report),
            Route("/api/about", self.about),
            Route("/api/rows", self.rows),
            Route(f"/api/rows{row}", self.one_row),
            Route(f"/api/thumbnails{row}", self.thumbnail),
            Route(f"/api/spectrograms{row}", self.spectrogram),
            Route(f"/api/clips{row}", self.clip),
            Route(f"/api/sounds{row}", self.sound),
            Route(f"/api/search{row}", self.search_row),
            Route("/api/uploads", self.upload, methods=["POST"]),
            Route(f"/api/uploads{key}/picture", self.upload_picture),
            Route(f"/api/uploads{key}/sound", self.upload_sound),
            Route(f"/api/uploads{key}/search", self.search_upload),
            Route(f"/api/heat{row}", self.heat),
            Route(f"/api/stretches{row}", self.stretch),
            Route("/api/map", self.map),
            Route("/api/groups", self.groups),
            Route(f"/api/puzzles{task}", self.puzzles),
            Route(f"/api/puzzles{task}/answers", self.answers, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        there = {one.name: one for one in _PAGE.iterdir()}  # nothing else can be named
        if name not in there:
            raise HTTPException(404, "there is no such page")
        return Response(there[name].read_bytes(), media_type=_TYPES["." + name.rpartition(".")[2]])

    def report(self, request: Request) -> Response:
        return HTMLResponse(self._library.report(), headers={"Content-Security-Policy": _REPORT_POLICY})

    def about(self, request: Request) -> Response:
        return Json(self._library.about())

    def rows(self, request: Request) -> Response:
        first, count = _whole(request, "first", 0), _whole(request, "count", 60)
        return Json(self._library.page(first, min(count, _MOST_ROWS)))

    def one_row(self, request: Request) -> Response:
        return Json(self._library.page(self._row(request), 1)[0])

    def thumbnail(self, request: Request) -> Response:
        return self._kept(request, "image/jpeg", lambda: self._library.thumbnail(self._row(request)))

    def spectrogram(self, request: Request) -> Response:
        return self._kept(request, "image/png", lambda: self._library.spectrogram(self._row(request)))

    def clip(self, request: Request) -> Response:
        return self._kept(request, "video/mp4", lambda: self._library.clip(self._row(request)))

    def sound(self, request: Request) -> Response:
        return self._kept(request, "audio/wav", lambda: self._library.sound(self._row(request)))

    def search_row(self, request: Request) -> Response:
        row, of, kind = self._row(request), _kind(request, "of"), _kind(request, "kind")
        return _timed(lambda: self._library.search_row(row, of, kind, _whole(request, "count", 24)))

    async def upload(self, request: Request) -> Response:
        key, found = await self._uploads.of(request)
        has = {"image": found.frame, "audio": found.waveform, "vector": found.vector}
        about = {"key": key, "name": found.name}
        return Json(about | {half: value is not None for half, value in has.items()})

    def upload_picture(self, request: Request) -> Response:
        found = self._uploads.get(request.path_params["key"])
        if _kind(request, "of") == "image" and found.frame is not None:
            return Response(jpeg(found.frame), media_type="image/jpeg")
        if found.waveform is not None:
            return Response(spectrogram(found.waveform, SOUND_RATE), media_type="image/png")
        raise HTTPException(404, "there is nothing to see in it")

    def upload_sound(self, request: Request) -> Response:
        found = self._uploads.get(request.path_params["key"])
        if found.waveform is None:
            raise HTTPException(404, "there is nothing to hear in it")
        samples = found.waveform
        return self._kept(request, "audio/wav", lambda: wav(samples, SOUND_RATE))

    def search_upload(self, request: Request) -> Response:
        found, of, kind = self._uploads.get(request.path_params["key"]), _kind(request, "of"), _kind(request, "kind")
        return _timed(lambda: self._library.search_upload(found, of, kind, _whole(request, "count", 24)))

    def heat(self, request: Request) -> Response:
        row, start = self._row(request), _number(request, "start")
        return Json(self._library.heat(row, start, self._other_sound(request)))

    def stretch(self, request: Request) -> Response:
        row, start, key = self._row(request), _number(request, "start"), request.query_params.get("sound", "")
        other = self._other_sound(request)
        return self._kept(request, "video/mp4", lambda: self._library.stretch_film(row, start, other, key))

    def map(self, request: Request) -> Response:
        method = _one_of(request, "method", ("pca", "umap"))
        return Response(self._library.map(_kind(request, "kind"), method), media_type="application/octet-stream")

    def groups(self, request: Request) -> Response:
        return Json(self._library.groups(_one_of(request, "by", ("label", "source", "time"))))

    def puzzles(self, request: Request) -> Response:
        game = open_game(self._library.run.path, request.path_params["task"])
        rounds = game.rounds(_whole(request, "seed", 0))
        return Json({"question": game.question, "rounds": [plain(one) for one in rounds]})

    async def answers(self, request: Request) -> Response:
        try:
            given = json.loads(await _body(request, 1 << 16))
        except ValueError:
            given = None
        if not isinstance(given, list) or not 0 < len(given) <= ROUNDS or not all(type(n) is int for n in given):
            raise HTTPException(400, "answers must be a list of numbers")
        return await run_in_threadpool(self._scores, request, given)

    def _scores(self, request: Request, given: list[int]) -> Response:
        game = open_game(self._library.run.path, request.path_params["task"])
        pairs = list(zip(game.rounds(_whole(request, "seed", 0)), given, strict=False))
        return Json(
            {
                "truth": [one.truth for one, _ in pairs],
                "network": [one.network for one, _ in pairs],
                "chance": 1 / len(pairs[0][0].choices),
                "you": score([one.truth == mine for one, mine in pairs]),
                "networks": score([one.truth == one.network for one, _ in pairs]),
            }
        )

    def _kept(self, request: Request, media_type: str, make: Callable[[], bytes]) -> Response:
        """What a browser may keep, but must ask about: another collection may be served at this address later."""
        tag = f'"{self._library.state}"'
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        asked = request.headers.get("range", "") if request.headers.get("if-range", tag) == tag else ""
        return _ranged(asked, make(), media_type, headers)

    def _row(self, request: Request) -> int:
        row = _digits(request.path_params["row"])
        if row is None or row >= len(self._library.index):
            raise HTTPException(404, "there is no such moment")
        return row

    def _other_sound(self, request: Request) -> OtherSound | None:
        key = request.query_params.get("sound")
        if not key:
            return None
        found = self._uploads.get(key)
        if found.waveform is None:
            raise UserError(f"{found.name} has no sound")
        return OtherSound(found.waveform, SOUND_RATE)


def make_app(library: Library, guard: Guard) -> Starlette:
    """The page of a library.

    Args:
        library: what is shown.
        guard: who may ask.
    """

    def unusable(request: Request, error: Exception) -> Response:
        """What a visitor can mend, or a file that is gone: one line, with no folder of this machine."""
        text = str(error)
        if isinstance(error, MediaError):
            text = text.replace(str(error.path), str(error.path).rpartition("/")[2])
        return Json({"error": library.without_folders(text)}, 422)

    handlers: dict[Any, Any] = {HTTPException: _refused, UserError: unusable, MediaError: unusable}
    app = Starlette(routes=Pages(library).routes, exception_handlers=handlers)
    app.add_middleware(guard.middleware)
    return app


async def _body(request: Request, most: int = LARGEST_UPLOAD) -> bytes:
    """What a request carries, read no further than the bound, whatever length it claims.

    Raises:
        HTTPException: it is larger.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise HTTPException(413, f"at most {most >> 20 or 1} MB can be uploaded")
    return bytes(content)


def _refused(request: Request, error: HTTPException) -> Response:
    return Json({"error": error.detail}, error.status_code)


def _kind(request: Request, name: str) -> Kind:
    return cast(Kind, _one_of(request, name, KINDS))


def _one_of(request: Request, name: str, known: tuple[str, ...]) -> str:
    """The value of a parameter that has one of a few; the first is its default."""
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise HTTPException(400, f"{name} must be one of {', '.join(known)}")
    return value


def _whole(request: Request, name: str, default: int) -> int:
    value = _digits(request.query_params.get(name, str(default)))
    if value is None:
        raise HTTPException(400, f"{name} must be a whole number, not negative")
    return value


def _digits(text: str) -> int | None:
    """A whole number of a length that somebody means; Python itself refuses thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None


def _number(request: Request, name: str) -> float:
    try:
        value = float(request.query_params.get(name, "0"))
    except ValueError:
        value = float("nan")
    if not 0 <= value < 1e7:
        raise HTTPException(400, f"{name} must be a number of seconds")
    return value


def _timed(search: Callable[[], list[dict[str, Any]]]) -> Response:
    begin = time.perf_counter()
    found = search()
    return Json({"found": found, "milliseconds": round(1000 * (time.perf_counter() - begin), 1)})


def _ranged(asked: str, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """The content, or the part of it that is asked for: players seek, and Safari plays nothing without."""
    headers = {"Accept-Ranges": "bytes", **headers}
    first, dash, last = asked.removeprefix("bytes=").partition("-")
    low, high = _digits(first), _digits(last)
    if not dash or (first and low is None) or (last and high is None) or (low is None and high is None):
        return Response(content, media_type=media_type, headers=headers)
    if low is None:  # so many from the end
        low, high = max(len(content) - (high or 0), 0), None
    high = len(content) - 1 if high is None else min(high, len(content) - 1)
    if low > high:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {low}-{high}/{len(content)}"
    return Response(content[low : high + 1], 206, headers, media_type)
