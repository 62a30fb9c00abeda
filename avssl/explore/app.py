"""The routes of the explorer: each a few lines that call the library."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from avssl.errors import MediaError, UserError
from avssl.explore.guard import Guard
from avssl.explore.library import PER_FILE, Library
from avssl.explore.pictures import jpeg, spectrogram
from avssl.explore.puzzles import ROUNDS, plain, score
from avssl.explore.requests import body, digits, kind_of, one_of, ranged, seconds_of, whole
from avssl.explore.segment import OtherSound
from avssl.explore.uploads import LARGEST_UPLOAD, SOUND_RATE, Upload, Uploads
from avssl.report.embedded import wav
from avssl.system.process_pool import spare_cores

_PAGE = files("avssl.explore") / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_MOST_ROWS = 200
_LARGEST_ANSWERS = 1 << 16
MOST_UPLOADS = 24
"""At once, each of at most 64 MB: twenty visitors, and some more."""
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "frame-ancestors 'self'; sandbox allow-scripts"
)


class Json(JSONResponse):
    """JSON in UTF-8 whatever is in its texts: names of files and folders need not be UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


class Pages:
    """What is answered at each address.

    Args:
        library: what is shown.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._uploads = Uploads()
        # Films and pictures may take a gigabyte each while they are decoded, and whoever waits for one must keep no
        # thread from the searches of others. Pictures have their own: nobody should wait for a film to see a list.
        self._films, self._pictures = CapacityLimiter(spare_cores()), CapacityLimiter(2 * spare_cores())
        self._decoding, self._uploading = CapacityLimiter(spare_cores()), 0

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
            Route(f"/api/segments{row}", self.segment),
            Route("/api/map", self.map),
            Route("/api/groups", self.groups),
            Route(f"/api/puzzles{task}", self.puzzles),
            Route(f"/api/puzzles{task}/answers", self.answers, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        # A name is looked up, never joined to a path.
        there = {one.name: one for one in _PAGE.iterdir()}
        if name not in there:
            raise HTTPException(404, "there is no such page")
        return Response(there[name].read_bytes(), media_type=_TYPES["." + name.rpartition(".")[2]])

    def report(self, request: Request) -> Response:
        return HTMLResponse(self._library.report(), headers={"Content-Security-Policy": _REPORT_POLICY})

    def about(self, request: Request) -> Response:
        return Json(self._library.about())

    def rows(self, request: Request) -> Response:
        named = request.query_params.get("rows")
        if named is not None:
            return Json(self._library.page([self._existing(text) for text in named.split(",")[:_MOST_ROWS]]))
        first = min(whole(request, "first", 0), len(self._library.index))
        last = min(first + min(whole(request, "count", 60), _MOST_ROWS), len(self._library.index))
        return Json(self._library.page(range(first, last)))

    def one_row(self, request: Request) -> Response:
        return Json(self._library.page([self._row(request)])[0])

    async def thumbnail(self, request: Request) -> Response:
        row = self._row(request)
        return await self._kept(request, "image/jpeg", self._pictures, lambda: self._library.thumbnail(row))

    async def spectrogram(self, request: Request) -> Response:
        row = self._row(request)
        return await self._kept(request, "image/png", self._pictures, lambda: self._library.spectrogram(row))

    async def clip(self, request: Request) -> Response:
        row = self._row(request)
        return await self._kept(request, "video/mp4", self._films, lambda: self._library.clip(row))

    async def sound(self, request: Request) -> Response:
        row = self._row(request)
        return await self._kept(request, "audio/wav", self._pictures, lambda: self._library.sound(row))

    def search_row(self, request: Request) -> Response:
        row, of, kind = self._row(request), kind_of(request, "of"), kind_of(request, "kind")
        count, per_file = whole(request, "count", 24), whole(request, "per_file", PER_FILE)
        return _timed(lambda: self._library.search_row(row, of, kind, count, per_file))

    async def upload(self, request: Request) -> Response:
        if self._uploading >= MOST_UPLOADS:
            raise HTTPException(503, f"{MOST_UPLOADS} files are being uploaded already; try again in a minute")
        self._uploading += 1
        try:
            content = await body(request, LARGEST_UPLOAD)
            name = request.query_params.get("name", "")
            # Threads are for whom it is the turn of; the others wait without one.
            key, found = await to_thread.run_sync(self._uploads.read, content, name, limiter=self._decoding)
        finally:
            self._uploading -= 1
        has = {"image": found.frame, "audio": found.waveform, "vector": found.vector}
        about = {"key": key, "name": found.name}
        return Json(about | {half: value is not None for half, value in has.items()})

    def upload_picture(self, request: Request) -> Response:
        found = self._upload(request.path_params["key"])
        if kind_of(request, "of") == "image" and found.frame is not None:
            return Response(jpeg(found.frame), media_type="image/jpeg")
        if found.waveform is not None:
            return Response(spectrogram(found.waveform, SOUND_RATE), media_type="image/png")
        raise HTTPException(404, "there is nothing to see in it")

    async def upload_sound(self, request: Request) -> Response:
        found = self._upload(request.path_params["key"])
        if found.waveform is None:
            raise HTTPException(404, "there is nothing to hear in it")
        samples = found.waveform
        return await self._kept(request, "audio/wav", self._pictures, lambda: wav(samples, SOUND_RATE))

    def search_upload(self, request: Request) -> Response:
        found, of, kind = self._upload(request.path_params["key"]), kind_of(request, "of"), kind_of(request, "kind")
        count, per_file = whole(request, "count", 24), whole(request, "per_file", PER_FILE)
        return _timed(lambda: self._library.search_upload(found, of, kind, count, per_file))

    async def heat(self, request: Request) -> Response:
        row, start, other = self._row(request), seconds_of(request, "start"), self._other_sound(request)
        return Json(await to_thread.run_sync(self._library.heat, row, start, other, limiter=self._films))

    async def segment(self, request: Request) -> Response:
        row, start, key = self._row(request), seconds_of(request, "start"), request.query_params.get("sound", "")
        other = self._other_sound(request)
        return await self._kept(
            request, "video/mp4", self._films, lambda: self._library.segment_film(row, start, other, key)
        )

    def map(self, request: Request) -> Response:
        method = one_of(request, "method", ("pca", "umap"))
        return Response(self._library.map(kind_of(request, "kind"), method), media_type="application/octet-stream")

    def groups(self, request: Request) -> Response:
        return Json(self._library.groups(one_of(request, "by", ("label", "source", "time"))))

    def puzzles(self, request: Request) -> Response:
        puzzles = self._library.puzzles(request.path_params["task"])
        rounds = puzzles.rounds(whole(request, "seed", 0))
        about = {"question": puzzles.question, "held_out": puzzles.held_out}
        return Json(about | {"rounds": [plain(one) for one in rounds]})

    async def answers(self, request: Request) -> Response:
        try:
            given = json.loads(await body(request, _LARGEST_ANSWERS))
        except ValueError:
            given = None
        if not isinstance(given, list) or not 0 < len(given) <= ROUNDS or not all(type(n) is int for n in given):
            raise HTTPException(400, "answers must be a list of numbers")
        return await run_in_threadpool(self._scores, request, given)

    def _scores(self, request: Request, given: list[int]) -> Response:
        puzzles = self._library.puzzles(request.path_params["task"])
        pairs = list(zip(puzzles.rounds(whole(request, "seed", 0)), given, strict=False))
        return Json(
            {
                "truth": [one.truth for one, _ in pairs],
                "network": [one.network for one, _ in pairs],
                "chance": 1 / len(pairs[0][0].choices),
                "you": score([one.truth == mine for one, mine in pairs]),
                "networks": score([one.truth == one.network for one, _ in pairs]),
            }
        )

    async def _kept(
        self, request: Request, media_type: str, limiter: CapacityLimiter, make: Callable[[], bytes]
    ) -> Response:
        """What a browser may keep, but must ask about: another collection may be served at this address later."""
        tag = f'"{self._library.state}"'
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        asked = request.headers.get("range", "") if request.headers.get("if-range", tag) == tag else ""
        return ranged(asked, await to_thread.run_sync(make, limiter=limiter), media_type, headers)

    def _row(self, request: Request) -> int:
        return self._existing(request.path_params["row"])

    def _upload(self, key: str) -> Upload:
        found = self._uploads.get(key)
        if found is None:
            raise HTTPException(404, "this upload is forgotten; give it once more")
        return found

    def _existing(self, text: str) -> int:
        row = digits(text)
        if row is None or row >= len(self._library.index):
            raise HTTPException(404, "there is no such moment")
        return row

    def _other_sound(self, request: Request) -> OtherSound | None:
        key = request.query_params.get("sound")
        if not key:
            return None
        found = self._upload(key)
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


def _refused(request: Request, error: HTTPException) -> Response:
    return Json({"error": error.detail}, error.status_code)


def _timed(search: Callable[[], list[dict[str, Any]]]) -> Response:
    begin = time.perf_counter()
    found = search()
    return Json({"found": found, "milliseconds": round(1000 * (time.perf_counter() - begin), 1)})
