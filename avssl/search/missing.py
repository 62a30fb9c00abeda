"""What an index lacks of a collection, embedded and kept on disk until it is part of the index."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avssl.media.facts import Media
from avssl.search.files import WORK, IndexFiles
from avssl.search.pieces import Piece, read_pieces, write_pieces
from avssl.search.places import place_of
from avssl.system.console import ShowProgress, progress
from avssl.system.files import make_folder, read_json, remove_unfinished, write_json
from avssl.system.parts import WHOLE, Part, parts_there

KEPT_EVERY_SECONDS = 10.0
"""So much work is lost when a process is killed."""

_LEFT_AFTER_SECONDS = 3600.0
"""What is half-written for so long was left by a killed part; younger files another machine may be writing."""


class Missing:
    """What an index lacks of a collection, and what is known of the rest.

    Attributes:
        places: of the items of the collection, in order.
        pieces: files of what was embedded and is not part of the index, by the keys of their items.
        items: numbers of the items that are in neither.
        skipped: items that cannot be read, with their reasons.

    Args:
        folder: of the index.
        media: the collection.
        old: the index as it is.
        about: of which network and spacing the pieces must be; those of another are removed.
        part: which of the missing items are to be embedded here, while other machines may embed the rest.
    """

    def __init__(
        self, folder: Path, media: Media, old: IndexFiles | None, about: Mapping[str, Any], part: Part = WHOLE
    ) -> None:
        self.folder, self.media, self.old, self.spacing = folder, media, old, float(about["every"])
        self.work = folder / WORK
        self._part = part
        self._prefix = "" if part == WHOLE else f"{part.name}-"
        self.places = [place_of(media, i) for i in range(len(media))]
        self.known = {} if old is None else {str(key, "ascii"): n for n, key in enumerate(old.rows.items["key"])}
        self.pieces: dict[str, Path] = {}
        self.skipped: dict[int, str] = {}
        if (self.work / "about.json").is_file() and _is_of(self.work / "about.json", about):
            remove_unfinished(self.work, 0.0 if part == WHOLE else _LEFT_AFTER_SECONDS)
            for path in sorted(self.work.glob(f"{self._prefix}*.npz")):
                self.pieces.update((piece.key, path) for piece in read_pieces(path))
        else:  # of another network
            shutil.rmtree(self.work, ignore_errors=True)
        make_folder(self.work)
        write_json(self.work / "about.json", dict(about))
        there = self.known | self.pieces.keys()
        # Parts are of the whole collection, not of what is missing, which shrinks while other parts work.
        self.items = [i for i in part.range(len(media)) if self.places[i].key not in there]

    def embed(self, run: str | Path, device: str, workers: int | None, shown: ShowProgress) -> None:
        """Embed what is missing, kept on disk every few seconds."""
        if not self.items:
            return
        from avssl.networks.model import load
        from avssl.search.embedding import embedded_items  # torch takes longer than all else where nothing is missing
        from avssl.trainer.devices import choose_device

        model = load(run).to(choose_device(device))
        # After those of a process that was killed, or of the same part run twice.
        names = [path.stem.removeprefix(self._prefix) for path in self.work.glob(f"{self._prefix}*.npz")]
        number = 1 + max((int(name) for name in names if name.isdecimal()), default=0)
        waiting: list[Piece] = []
        last = time.monotonic()
        with progress("embedding", "moment", shown) as on_progress:
            for one in embedded_items(self.media, self.items, self.spacing, model, workers, self.skipped, on_progress):
                waiting.append(Piece(self.places[one.item].key, np.array(one.times), one.vectors))
                if time.monotonic() - last > KEPT_EVERY_SECONDS:
                    number = self._keep(number, waiting)
                    last = time.monotonic()
        self._keep(number, waiting)

    def part_is_done(self) -> None:
        """Leave word for whoever merges, which of its items could not be embedded among it."""
        skipped = {self.places[i].key: why for i, why in self.skipped.items()}
        write_json(self.work / f"{self._part.name}.done", {"items": len(self.media), "skipped": skipped})

    def take_parts(self) -> None:
        """What parts could not embed is not tried again.

        Raises:
            UserError: a part is missing.
        """
        skipped: dict[str, str] = {}
        for done in parts_there(self.work.glob("*.done"), str(self.folder)):
            skipped |= (read_json(done) or {}).get("skipped", {})
        self.skipped = {i: skipped[self.places[i].key] for i in self.items if self.places[i].key in skipped}
        self.items = [i for i in self.items if i not in self.skipped]

    def _keep(self, number: int, waiting: list[Piece]) -> int:
        if not waiting:
            return number
        path = self.work / f"{self._prefix}{number:06d}.npz"
        write_pieces(path, waiting)
        self.pieces.update((piece.key, path) for piece in waiting)
        waiting.clear()
        return number + 1


def _is_of(path: Path, about: Mapping[str, Any]) -> bool:
    return read_json(path) == dict(about)
