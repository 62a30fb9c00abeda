"""What the page shows: a collection's moments, a run, and what the run predicts for them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.evaluate.localization.threshold import fitted_on, read_threshold
from avssl.experiment.run import Run
from avssl.explore.kept_files import KeptFiles
from avssl.explore.pictures import film, jpeg, spectrogram
from avssl.explore.puzzles import PuzzlesOfTask, open_puzzles, playable
from avssl.explore.segment import OtherSound, PlayedSegment
from avssl.explore.umap_map import has_umap, umap_of
from avssl.explore.uploads import LARGEST_UPLOAD, SOUND_RATE, Upload
from avssl.installation import install_hint
from avssl.localization.pointing import not_made_to_point
from avssl.networks.saved_names import saved_fusion
from avssl.report.embedded import wav
from avssl.search.index import Found, SearchIndex
from avssl.search.places import Data
from avssl.search.query import SILENT_BELOW
from avssl.search.rows import Kind, Moment
from avssl.system.files import cache_folder
from avssl.system.hub import name_on_hub
from avssl.system.scratch import ScratchFolder

if TYPE_CHECKING:  # torch takes longer to import than the page to open
    from avssl.localization.analysis import Analysis
    from avssl.localization.localizer import Localizer

CLIP_SECONDS = 4.0
"""Of film about a moment that plays in a result."""
SEGMENT_SECONDS = 12.0
"""Of film that is localized at a time."""
MAPS_PER_SECOND = 8.0
NEAR_SECONDS = 2.0
"""So close to each other two moments of a film show and sound the same."""

_THUMBNAILS_LIMIT = 2 << 30
_FILMS_LIMIT = 512 << 20
MOST_RESULTS = 100
MOST_NAMES = 1000
"""Of groups that are named on the map."""
PER_FILE = 2
"""Results of one file, where nothing else is asked for: its other moments are mostly neighbours of these."""
_NO_ROWS = np.zeros(0, np.int64)


class Library:
    """An index and the run that made it. Threads may share it.

    Attributes:
        state: changes whenever the same row may be another moment.

    Args:
        index: of the collection.
        run: that made it.
    """

    def __init__(self, index: SearchIndex, run: Run) -> None:
        self.index, self.run = index, run
        # Rows are numbered anew when an index is brought up to date: then all thumbnails are made anew.
        state = json.dumps([str(index.path.absolute()), index.header], sort_keys=True, default=str)
        self.state = hashlib.sha256(state.encode()).hexdigest()[:16]
        # One folder for all, so that together they keep within the limit.
        self._thumbnails = KeptFiles(cache_folder() / "explore", _THUMBNAILS_LIMIT)
        # Films are quickly made and large: they go with the process.
        self._folder = ScratchFolder("explore")
        self._films = KeptFiles(self._folder.path, _FILMS_LIMIT)
        self._umap: dict[Kind, NDArray[np.float32]] = {}
        self._groups: dict[str, dict[str, Any]] = {}
        self._puzzles: dict[str, PuzzlesOfTask] = {}
        self._opening = threading.Lock()
        # One network and one set of readers: two who ask at once would only slow each other down.
        self._busy = threading.Lock()

    def close(self) -> None:
        """Remove the films."""
        self._folder.remove()

    def warm(self) -> None:
        """Load what the first search and the first thumbnail need: done while somebody looks at the page."""
        with suppress(UserError, MediaError):  # whoever asks for it is told
            self.index.model()
            self.index.item(0)

    def about(self) -> dict[str, Any]:
        """What the page shows before anything is asked."""
        rows = self.index.rows
        labels = [label for label in rows.columns.column("label") if label]
        return {
            "run": name_on_hub(self.run.path) or self.run.path.name,
            "tasks": self.run.tasks,
            "collection": self.named,
            "moments": len(rows),
            "items": len(rows.items),
            "kinds": [kind for kind in ("image", "audio") if self.index.having[kind].any()],
            "labels": sorted(set(map(str, labels)))[:200],
            "puzzles": playable(self.run.tasks),
            "localizes": self.cannot_localize is None,
            "cannot_localize": self.cannot_localize,
            "threshold_fitted_on": fitted_on(self.run.path),
            "umap": has_umap(),
            "largest_upload": LARGEST_UPLOAD,
        }

    @property
    def named(self) -> str:
        """The collection, for people: its last part."""
        sources = [one["source"] for one in self.index.header["data"]]
        first = sources[0]
        name = Path(first if isinstance(first, str) else first[0]).name
        return name if len(sources) == 1 and isinstance(first, str) else f"{name} and others"

    def without_folders(self, text: str) -> str:
        """A message for visitors, who need not know where on this machine something lies."""
        sources = [Data.read(one).source for one in self.index.header["data"]]
        files = [one for source in sources for one in ((source,) if isinstance(source, str) else source)]
        for path in (str(self.run.path), str(self.index.path), *files):
            for folder in (f"{path}/", f"{Path(path).parent}/"):
                text = text.replace(folder, "") if len(folder) > 2 else text
        return text

    def page(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Some moments, in this order."""
        return [self._plain(self.index.rows[row]) for row in rows]

    def moment(self, row: int) -> Moment:
        """One moment.

        Raises:
            IndexError: there is no such row.
        """
        return self.index.rows[row]

    def thumbnail(self, row: int) -> bytes:
        """The frame of a moment as a JPEG.

        Raises:
            MediaError: its file is gone, has changed, or has no pictures.
        """
        return self._thumbnails.get(f"{self.state}-{row}.jpg", lambda: jpeg(self.index.frame(row)))

    def spectrogram(self, row: int) -> bytes:
        """The sound about a moment as a PNG.

        Raises:
            MediaError: its file is gone, has changed, or has no sound.
        """
        return self._thumbnails.get(
            f"{self.state}-{row}.png", lambda: spectrogram(self.index.waveform(row), SOUND_RATE)
        )

    def clip(self, row: int) -> bytes:
        """A few seconds about a moment as an MP4.

        Raises:
            MediaError, UserError: its file is gone, has changed, or has no pictures.
        """
        return self._films.get(f"clip-{row}.mp4", lambda: film(self._around(row, CLIP_SECONDS)))

    def sound(self, row: int) -> bytes:
        """The same as sound alone: a WAV file.

        Raises:
            MediaError: its file is gone, has changed, or has no sound.
        """
        return wav(self.index.waveform(row, CLIP_SECONDS), SOUND_RATE)

    def search_row(self, row: int, of: Kind, kind: Kind, count: int, per_file: int = PER_FILE) -> list[dict[str, Any]]:
        """The moments nearest to one half of a moment, none of the same source.

        Args:
            per_file: at most so many of one file; 0 for any number.

        Raises:
            UserError: the moment has no such half.
        """
        moment = self.index.rows[row]
        if not (moment.has_image if of == "image" else moment.has_audio):
            raise UserError(f"this moment has no {'picture' if of == 'image' else 'sound'}")
        # Its own file and all that was cut from the same film: else the nearest are what lies beside it.
        out = self.index.rows_of(path=moment.path, source=moment.source)
        if len(out) == len(self.index):  # of a single film its other scenes are an answer
            here = self.index.rows.moments[row]
            same = self.index.rows.moments["item"] == here["item"]
            out = np.flatnonzero(same & (np.abs(self.index.rows.moments["seconds"] - here["seconds"]) < NEAR_SECONDS))
        return self._found(self.index.vectors(of)[row], of, kind, count, per_file, out)

    def search_upload(
        self, upload: Upload, of: Kind, kind: Kind, count: int, per_file: int = PER_FILE
    ) -> list[dict[str, Any]]:
        """The moments nearest to what was uploaded, at most so many of a file (0: any number).

        Raises:
            UserError: it has no such half, or a vector of another length.
        """
        if upload.vector is not None:
            if upload.vector.shape != (self.index.dimensions,):
                raise UserError(
                    f"{upload.name} holds a vector of {len(upload.vector)}; this run's have {self.index.dimensions}"
                )
            return self._found(upload.vector, of, kind, count, per_file)
        if of == "image":
            if upload.frame is None:
                raise UserError(f"{upload.name} has no picture")
            return self._found(self.index.embed(upload.frame), of, kind, count, per_file)
        if upload.waveform is None:
            raise UserError(f"{upload.name} has no sound")
        if np.abs(upload.waveform).max(initial=0) < SILENT_BELOW:
            raise UserError(f"{upload.name} is silent: there is nothing to search by")
        return self._found(self.index.embed(upload.waveform, SOUND_RATE), of, kind, count, per_file)

    def _found(
        self,
        vector: NDArray[np.float32],
        of: Kind,
        kind: Kind,
        count: int,
        per_file: int,
        out: NDArray[np.int64] = _NO_ROWS,
    ) -> list[dict[str, Any]]:
        most = min(max(count, 1), MOST_RESULTS)
        found = self.index.search(vector, kind, of=of, k=most, leave_out=out, per_file=per_file or None)
        return [self._answer(one) for one in found]

    def _plain(self, moment: Moment) -> dict[str, Any]:
        """A moment for the page; of its path no more than the name."""
        return {
            "row": moment.row,
            "name": _readable(Path(moment.path).name),
            "seconds": round(moment.seconds, 3),
            "duration": round(moment.duration_seconds, 3),
            "label": moment.label and _readable(moment.label),
            "media": moment.media_kind,
            "image": moment.has_image,
            "audio": moment.has_audio,
            "outdated": self.index.outdated(moment.row),
        }

    def _answer(self, found: Found) -> dict[str, Any]:
        """A result for the page."""
        share = found.share_below
        return self._plain(found.moment) | {
            "kind": found.kind,
            "score": round(found.score, 4),
            "share_below": None if np.isnan(share) else round(share, 5),
        }

    @cached_property
    def cannot_localize(self) -> str | None:
        """Why this run shows no heat; None if it does."""
        fusion = saved_fusion(self.run.path)
        if fusion is None:
            return f"this run ({', '.join(self.run.tasks)}) compares no picture with a sound"
        return not_made_to_point(fusion)

    def heat(self, row: int, start: float, other: OtherSound | None = None) -> dict[str, Any]:
        """Maps of a segment of a moment's item, eight a second.

        Args:
            start: where it begins, seconds on the item's clock.
            other: a sound in the place of its own.

        Returns:
            times (n,); maps, base64 of uint8 (n, rows, columns), 255 at the likeliest place; largest (n,), the
            probability there; scores (n,), the largest logits; audible (n,), whether there is sound at all; threshold
            of the scores; and the segment.

        Raises:
            UserError: this run cannot localize, or there is neither picture nor sound.
            MediaError: the file is gone or has changed.
        """
        from avssl.localization.analysis import analyse

        if self.cannot_localize:
            raise UserError(self.cannot_localize)
        scene = self._segment(row, start, SEGMENT_SECONDS, other)
        if not scene.has_sound:
            raise UserError(f"{Path(scene.name).name} has no sound; drop one on it")
        with self._busy:
            analysis = analyse(scene, self._localizer, MAPS_PER_SECOND, lambda done, total: None)
        return _heat(analysis) | {
            "start": scene.start,
            "seconds": scene.seconds,
            "width": scene.width,
            "height": scene.height,
        }

    def segment_film(self, row: int, start: float, other: OtherSound | None = None, key: str = "") -> bytes:
        """The segment that :meth:`heat` is of, as an MP4.

        Args:
            key: names the other sound.

        Raises:
            MediaError, UserError: the file is gone, has changed, or has no pictures.
        """
        name = f"segment-{row}-{round(start * 1000)}{key and '-' + key}.mp4"
        return self._films.get(name, lambda: film(self._segment(row, start, SEGMENT_SECONDS, other)))

    def map(self, kind: Kind, method: str = "pca") -> bytes:
        """All moments in two dimensions: float32 pairs, NaN where one has no such half.

        Args:
            method: "pca", or "umap" where umap-learn is installed.
        """
        if method == "pca":
            return np.ascontiguousarray(self.index.projection(kind), "<f4").tobytes()
        if not has_umap():
            raise UserError(f"UMAP is not installed: {install_hint('umap')}")
        with self._busy:
            if kind not in self._umap:
                self._umap[kind] = umap_of(self.index.vectors(kind), self.index.having[kind])
            return self._umap[kind].tobytes()

    def groups(self, by: str) -> dict[str, Any]:
        """Into which group each moment falls, to colour the map.

        Args:
            by: "label", "source" or "time" (a tenth of its item).

        Returns:
            count of the groups; names of the first of them, in order; and the number of each moment's, base64 of int32.
        """
        if by not in self._groups:  # for 100,000 sources it takes a second
            self._groups[by] = self._grouped(by)
        return self._groups[by]

    def _grouped(self, by: str) -> dict[str, Any]:
        rows = self.index.rows
        items = rows.moments["item"]
        if by == "time":
            durations = np.maximum(rows.columns.column("duration_seconds").astype(np.float64), 1e-6)
            tenth = np.clip(rows.moments["seconds"] / durations[items] * 10, 0, 9).astype("<i4")
            return {"count": 10, "names": [f"{k * 10}–{k * 10 + 10} %" for k in range(10)], "groups": _base64(tenth)}
        values = np.array([str(value or "") for value in rows.columns.column(by)])
        names, numbers = np.unique(values, return_inverse=True)
        first = names[:MOST_NAMES].tolist()  # nobody reads a legend of 100,000 sources
        return {"count": len(names), "names": first, "groups": _base64(numbers.astype("<i4")[items])}

    def puzzles(self, task: str) -> PuzzlesOfTask:
        """Puzzles of a task of the run.

        Raises:
            UserError: the task cannot be played, or the run is not finished.
        """
        with self._opening:
            if task not in self._puzzles:
                self._puzzles[task] = open_puzzles(self.run.path, task, lambda: self.index.item(0)[0])
            return self._puzzles[task]

    def report(self) -> str:
        """The run's report as a page."""
        from avssl.report.page import report_page
        from avssl.report.run_parts import read_runs

        return report_page(read_runs([str(self.run.path)]), self.run.path / "report.html")

    def _around(self, row: int, seconds: float) -> PlayedSegment:
        return self._segment(row, self.index.rows[row].seconds - seconds / 2, seconds)

    def _segment(self, row: int, start: float, seconds: float, other: OtherSound | None = None) -> PlayedSegment:
        media, item = self.index.item(row)
        return PlayedSegment(media, item, start, seconds, other)

    @cached_property
    def _localizer(self) -> Localizer:
        from avssl.localization.localizer import Localizer

        return Localizer(self.index.model(), read_threshold(self.run.path))


def _heat(analysis: Analysis) -> dict[str, Any]:
    from avssl.localization.regions import spread

    regions = np.clip(spread(analysis.maps), 0, 1)
    largest = regions.reshape(len(regions), -1).max(1)
    return {
        "times": [round(float(time), 4) for time in analysis.seconds],
        "rows": regions.shape[1],
        "columns": regions.shape[2],
        # A byte a cell, each map stretched to its full range: a tenth of what floats would take on the way.
        "maps": _base64((regions / np.maximum(largest, 1e-9)[:, None, None] * 255).round().astype(np.uint8)),
        "largest": [round(float(value), 6) for value in largest],
        "scores": [round(float(value), 4) for value in analysis.scores],
        "audible": [bool(np.isfinite(level)) for level in analysis.levels_db],
        "threshold": analysis.threshold,
    }


def _base64(values: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _readable(name: str) -> str:
    """Names of files need not be UTF-8, a page must be."""
    return name.encode("utf-8", "replace").decode()
