"""From a row of an index to the item that it was embedded from, if that is still what it was."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from avssl.errors import MediaError, UserError
from avssl.media.facts import Media
from avssl.media.selection import column_of
from avssl.search.places import Data, key_on_disk, place_of
from avssl.search.rows import Rows
from avssl.system.remote import is_remote

CHANGED = "has changed since it was embedded; avssl embed … --index brings the index up to date"
GONE = "is not in the data of this index any more; avssl embed … --index forgets it"


class Items:
    """The items of an index, in the data that they came from. Threads may share it.

    Args:
        header: of the index.
        rows: its moments.
    """

    def __init__(self, header: Mapping[str, Any], rows: Rows) -> None:
        self._data = [Data.read(one) for one in header["data"]]
        self._rows = rows
        self._lock = threading.RLock()
        self._media: dict[int, Media] = {}
        self._numbers: dict[int, dict[str, list[int]]] = {}

    def of(self, row: int) -> tuple[Media, int]:
        """The collection that a row's item is in, opened, and its number there.

        Raises:
            MediaError: it is not there any more, or has changed since it was embedded.
            UserError: the data are not there at all.
        """
        facts, item = self._rows.facts(row), self._rows.items[int(self._rows.moments["item"][row])]
        place, number, key = int(item["data"]), int(item["number"]), str(item["key"], "ascii")
        media = self._opened(place)
        # Of several segments of a file only the key says which one it is: files and rows of a table come and go.
        if number < len(media) and place_of(media, number).key == key:
            return media, number
        same_file = self._of_path(place, media).get(facts.path, [])
        found = next((i for i in same_file if place_of(media, i).key == key), None)
        if found is None:  # a segment may have left its table, and the file be as it was
            is_changed = same_file and key_on_disk(facts.path, float(item["zero"]), facts.duration_seconds) != key
            raise MediaError(facts.path, CHANGED if is_changed else GONE)
        return media, found

    def outdated(self, row: int) -> str | None:
        """Why the file that a row was embedded from is not what it was; None where it is.

        Files on a server are not asked for.
        """
        facts, item = self._rows.facts(row), self._rows.items[int(self._rows.moments["item"][row])]
        source = self._data[int(item["data"])].source
        if isinstance(source, str) and is_remote(source):
            return None
        if key_on_disk(facts.path, float(item["zero"]), facts.duration_seconds) == str(item["key"], "ascii"):
            return None
        try:  # gone, changed, or part of a tar or a prepared set, which has to be opened to know
            self.of(row)
        except MediaError as error:
            return error.reason
        except UserError:
            return GONE
        return None

    def _opened(self, place: int) -> Media:
        with self._lock:
            if place not in self._media:
                from avssl.media.opening import open_media

                self._media[place] = open_media(self._data[place].source, progress=False)
            return self._media[place]

    def _of_path(self, place: int, media: Media) -> dict[str, list[int]]:
        """The numbers of the items of each file of a collection; made only once something has changed."""
        with self._lock:
            if place not in self._numbers:
                numbers: dict[str, list[int]] = {}
                for number, path in enumerate(column_of(media, "path")):
                    numbers.setdefault(str(path), []).append(number)
                self._numbers[place] = numbers
            return self._numbers[place]
