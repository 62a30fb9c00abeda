"""An opened index of embeddings: search by a picture, a sound or a vector, and its moments, frames and sounds."""

from __future__ import annotations

import threading
from collections.abc import Collection as Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import UserError
from avssl.media.facts import Media
from avssl.search.files import IndexFiles
from avssl.search.items import Items
from avssl.search.nearest import MOST_LEFT_OUT, Graph, Nearest, exact, has_usearch
from avssl.search.projection import principal_axes
from avssl.search.rows import KINDS, Kind, Moment, Rows
from avssl.search.thinning import thinned
from avssl.search.unrelated import share_below
from avssl.system.console import counted

if TYPE_CHECKING:
    from avssl.networks.model import Model

SOUND_RATE = 16_000
SOUND_SECONDS = 2.0
"""Of sound around a moment that is played."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """A moment that a search found.

    Attributes:
        moment: which.
        kind: which half of it was compared.
        score: the cosine, −1..1.
        share_below: what the score means: the share of unrelated pairs (moments of different sources) whose score is
            lower, 0..1; NaN where the index has one source alone.
    """

    moment: Moment
    kind: Kind
    score: float
    share_below: float


class SearchIndex:
    """An index that ``avssl embed … --index`` wrote. Threads may share it.

    Attributes:
        path: its folder.
        rows: the moments: ``rows[i]``, ``rows[first:end]``, ``len(rows)``, ``rows.column("label")``.
        run: the folder of the run that made it.
        having: of each kind, which moments have that half, (rows,).
        header: what ``index.json`` says: run, every, dimensions, counts, graphs and their recall.

    Args:
        path: the folder.
        run: the run that made it, where it lies elsewhere by now.
        device: where queries are embedded: auto, cpu, cuda, cuda:1, mps.

    Raises:
        UserError: no index there, or a damaged one.
    """

    def __init__(self, path: str | Path, run: str | Path | None = None, device: str = "cpu") -> None:
        self.path = Path(path)
        self._files = IndexFiles(self.path)
        self.header: dict[str, Any] = self._files.header
        self.rows: Rows = self._files.rows
        self._device = device
        self.run = Path(run or self.header["run"])
        self.having = {kind: self.rows.having(kind) for kind in KINDS}
        self._lock = threading.RLock()
        self._model: Model | None = None
        self._graphs: dict[Kind, Graph | None] = {}
        self._items = Items(self.header, self.rows)
        self._projections: dict[Kind, Vectors] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'moment')} of {counted(self.header['items'], 'item')} in {self.path}>"

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return int(self.header["dimensions"])

    def vectors(self, kind: Kind) -> Vectors:
        """Unit vectors (rows, dimensions) of all frames or sounds, read-only; zeros where a row has none.

        Raises:
            UserError: they are damaged.
        """
        return self._files.vectors(kind)

    def search(
        self,
        query: NDArray[Any],
        kind: Kind,
        *,
        of: Kind | None = None,
        rate: int | None = None,
        k: int = 10,
        leave_out: NDArray[np.int64] | Container[int] = (),
        per_file: int | None = None,
    ) -> list[Found]:
        """The moments whose frame (kind "image") or sound (kind "audio") is nearest to a query, the best first.

        Args:
            query: a frame, uint8 (3, height, width) of any size; or a sound, float (samples,) with its ``rate``; or a
                vector, float (dimensions,), with what it is ``of``.
            k: how many.
            leave_out: rows that must not be found; :meth:`rows_of` gives those of a file or a source.
            per_file: at most so many of one file, else the nearest are often one moment and its neighbours; more where
                there are too few files for ``k``. None for any number.

        Raises:
            UserError: the run that made the index is gone, or the index is damaged.
            ValueError: the query has another shape.
        """
        vector, of = self._vector_of(np.asarray(query), of, rate)
        out = np.unique(np.fromiter(leave_out, np.int64))  # ascending, as the graph's filter wants them
        if per_file is None:
            found = self.nearest(vector[None], kind, k, out)
        else:
            found = thinned(lambda count: self.nearest(vector[None], kind, count, out), self.rows, k, per_file)
        shares = share_below(self._files.unrelated, of, kind, found.scores[0])
        return [
            Found(self.rows[int(row)], kind, float(score), float(share))
            for row, score, share in zip(found.rows[0], found.scores[0], shares, strict=True)
        ]

    def nearest(
        self, queries: Vectors, kind: Kind, k: int, leave_out: NDArray[np.int64] | None = None, *, exactly: bool = False
    ) -> Nearest:
        """Rows and cosines of the k nearest to each of some unit vectors (queries, dimensions).

        Args:
            leave_out: rows that must not be found, ascending.
            exactly: compare all rows, also where there is a graph.
        """
        out = np.zeros(0, np.int64) if leave_out is None else leave_out
        vectors = self.vectors(kind)
        # Whoever leaves out a source of an hour leaves out thousands of rows, which a graph would have to step over.
        graph = None if exactly or len(out) > MOST_LEFT_OUT else self._graph(kind)
        found = None if graph is None else graph.nearest(queries, k, out)
        if found is not None:
            return found
        allowed = self.having[kind]
        if len(out):
            allowed = allowed.copy()
            allowed[out] = False
        return exact(vectors, queries, k, allowed)

    def embed(self, query: NDArray[Any], rate: int | None = None) -> Vectors:
        """The unit vector of a frame, uint8 (3, height, width), or of a sound, float (samples,) with its rate.

        Raises:
            UserError: the run that made the index is gone, or its output is not finite.
            ValueError: another shape.
        """
        import torch

        model = self.model()
        with self._lock:  # one query at a time: two would each take twice as long
            found = model.image(query[None]) if rate is None else model.audio(query[None], rate)
        unit = torch.nn.functional.normalize(found[0].double(), dim=-1)
        vector = np.asarray(unit.cpu().numpy(), np.float32)
        if not np.isfinite(vector).all():
            raise UserError(f"the network of {self.run} gives NaN or infinity for this query: its training diverged")
        return vector

    def model(self) -> Model:
        """The model of the run that made the index.

        Raises:
            UserError: it is gone, or has been trained on since.
        """
        with self._lock:
            if self._model is None:
                from avssl.networks.model import load
                from avssl.trainer.devices import choose_device

                self.check_weights()
                self._model = load(self.run).to(choose_device(self._device))
            return self._model

    def check_weights(self) -> None:
        """
        Raises:
            UserError: the run that made the index is gone, or has been trained on since.
        """
        from avssl.search.building import weights_digest

        if weights_digest(self.run) != self.header["weights"]:
            raise UserError(
                f"{self.path} was made with other weights than {self.run} has now; "
                "make a new index with: avssl embed DATA --run RUN --index FOLDER"
            )

    def sound_format(self) -> tuple[float, int]:
        """(seconds, rate) of the sound that the model hears at a time.

        Raises:
            UserError: the run that made the index is gone, or has no sound.
        """
        encoder = self.model().audio_encoder
        if encoder is None:
            raise UserError(f"{self.run} has no audio encoder; search with a picture")
        return float(encoder.seconds), int(encoder.rate)

    def rows_of(self, *, path: str | None = None, source: str | None = None) -> NDArray[np.int64]:
        """The rows of a file, of a source, or of either, ascending. (n,)"""
        columns = self.rows.columns
        marks = np.zeros(len(self.rows.items), bool)
        if path is not None:
            marks |= columns.equal("path", path)
        if source is not None:
            marks |= columns.equal("source", source)
        return self.rows.rows_of(marks)

    def frame(self, row: int) -> NDArray[np.uint8]:
        """The frame of a row, uint8 (3, height, width).

        Raises:
            MediaError: its file is gone, has changed, or has no pictures.
        """
        media, item = self.item(row)
        frame: NDArray[np.uint8] = media.frames(item, [self.rows[row].seconds])[0]
        return frame

    def waveform(self, row: int, seconds: float = SOUND_SECONDS, rate: int = SOUND_RATE) -> NDArray[np.float32]:
        """The sound around a row, float32 (seconds · rate,), full scale ±1.

        Raises:
            MediaError: its file is gone, has changed, or has no sound.
        """
        media, item = self.item(row)
        return media.audio(item, self.rows[row].seconds - seconds / 2, seconds, rate)

    def projection(self, kind: Kind) -> Vectors:
        """All frames or sounds in two dimensions: their first two principal components, NaN where a row has none.

        float32 (rows, 2).
        """
        with self._lock:
            if kind not in self._projections:
                self._projections[kind] = principal_axes(self.vectors(kind), self.having[kind])
            return self._projections[kind]

    def _vector_of(self, query: NDArray[Any], of: Kind | None, rate: int | None) -> tuple[Vectors, Kind]:
        if rate is not None:
            if query.ndim != 1:
                raise ValueError(f"a sound is (samples,), not {query.shape}")
            return self.embed(query, rate), "audio"
        if query.ndim == 3:
            return self.embed(query), "image"
        if query.shape != (self.dimensions,) or of is None:
            raise ValueError(
                f"a query of shape {query.shape} is no vector ({self.dimensions},) with of=, no frame (3, height, "
                "width) and no sound (samples,) with rate="
            )
        if not np.isfinite(query).all() or not query.any():
            raise ValueError("a vector of finite numbers that are not all zero is wanted")
        unit = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
        return unit.astype(np.float32), of

    def _graph(self, kind: Kind) -> Graph | None:
        with self._lock:
            if kind not in self._graphs:
                about = self.header["graphs"].get(kind)
                self._graphs[kind] = None
                if about is not None and has_usearch():
                    # Mapped, not loaded: of a million rows it is there at once, and cold parts cost no memory.
                    data = self._files.bytes_of(f"{kind}.usearch")
                    self._graphs[kind] = Graph.open(data, self.vectors(kind), int(about["expansion"]))
            return self._graphs[kind]

    def item(self, row: int) -> tuple[Media, int]:
        """The collection that a row's item is in, opened, and its number there.

        Raises:
            MediaError: it is not there any more, or has changed since it was embedded.
            UserError: the data are not there at all.
        """
        return self._items.of(row)

    def outdated(self, row: int) -> str | None:
        """Why a row's vectors are not those of what its file holds now; None where they are."""
        return self._items.outdated(row)
