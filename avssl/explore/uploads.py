"""Uploaded queries: a picture, a sound, a film or a vector, decoded in a process that may crash."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError, UserError
from avssl.search.vector_file import vector_of
from avssl.system.process_pool import Lost, each, spare_cores
from avssl.system.scratch import ScratchFolder

LARGEST_UPLOAD = 64 * 1024 * 1024
"""Bytes."""
MOST_BYTES = 512 << 20
"""Of decoded uploads that are remembered, for another search with the same or for laying one under a film."""
SOUND_RATE = 16_000
LONGEST_SOUND = 30.0
"""Seconds of an uploaded sound that are kept: more than any network here hears, enough to lay under a segment."""

_HANGS_AFTER = 30.0
_LONGEST_SUFFIX = 8
# Each may take 1 GB of memory for the largest picture.
_DECODING = threading.Semaphore(spare_cores())


@dataclass(frozen=True)
class Upload:
    """What was found in an uploaded file.

    Attributes:
        name: as the visitor's file is called.
        frame: uint8 (3, height, width): the picture, or the frame of a film at its middle.
        waveform: float32 (samples,) at :data:`SOUND_RATE`: the middle of the sound.
        vector: float32 (dimensions,), of a .npy file.
    """

    name: str
    frame: NDArray[np.uint8] | None = None
    waveform: NDArray[np.float32] | None = None
    vector: NDArray[np.float32] | None = None

    @property
    def nbytes(self) -> int:
        """That its arrays take."""
        return sum(one.nbytes for one in (self.frame, self.waveform, self.vector) if one is not None)


class Uploads:
    """What visitors uploaded lately, by a digest of its content. Threads may share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, content: bytes, name: str) -> tuple[str, Upload]:
        """An uploaded file under the key by which :meth:`get` finds it again.

        Raises:
            UserError: it cannot be used.
        """
        key = hashlib.sha256(content).hexdigest()[:32]
        with self._lock:
            known = self._known.get(key)
        found = read_upload(content, name) if known is None else known
        with self._lock:
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > 1 and sum(one.nbytes for one in self._known.values()) > MOST_BYTES:
                self._known.popitem(last=False)
        return key, found

    def get(self, key: str) -> Upload | None:
        """An earlier upload; None of one that is forgotten."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)


def read_upload(content: bytes, name: str) -> Upload:
    """Decode an uploaded file in a process of its own.

    Args:
        content: at most :data:`LARGEST_UPLOAD` bytes.
        name: as the visitor's file is called; of it only the suffix counts.

    Raises:
        UserError: nothing in it that can be used; why, without a path of this machine.
    """
    shown = PurePath(name.replace("\\", "/")).name[:80] or "the file"
    if not content:
        raise UserError(f"{shown} is empty")
    if content.startswith(b"\x93NUMPY"):
        return Upload(shown, vector=vector_of(content, shown))
    # Only to tell what has no signature; a wrong one does no harm, as the content is looked at.
    suffix = PurePath(shown).suffix.lower()[:_LONGEST_SUFFIX]
    with ScratchFolder("upload") as folder:
        # Named by us: a name of theirs might mean something to a shell, a protocol or a file system.
        path = folder / f"upload{suffix if suffix[1:].isalnum() else ''}"
        path.write_bytes(content)
        with _DECODING:
            ((_, found),) = each(_decode, [str(path)], 1, lambda job: _HANGS_AFTER)
    if isinstance(found, Lost):
        raise UserError(f"{shown} cannot be read: {found.reason}")
    if isinstance(found, str):
        raise UserError(f"{shown} cannot be used: {found.replace(str(path), shown)}")
    frame, waveform = found
    return Upload(shown, frame, waveform)


def _decode(path: str) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None] | str:
    """Frame and sound of a file, or why it has neither. Runs in a process of its own."""
    from avssl.media.opening import open_media

    try:
        media = open_media([path], progress=False)
        if not len(media):
            return media.rejected[0].reason if media.rejected else "it is neither picture nor sound nor video"
        facts = media.facts(0)
        # The middle: beginnings are black and silent.
        middle = max(facts.duration_seconds, 0.0) / 2
        frame = None if facts.kind == "sound" else media.frames(0, [middle])[0]
        if not facts.has_sound:
            return frame, None
        seconds = min(facts.audio_end_seconds - max(facts.audio_start_seconds, 0.0), LONGEST_SOUND)
        start = max((max(facts.audio_start_seconds, 0.0) + facts.audio_end_seconds - seconds) / 2, 0.0)
        return frame, media.audio(0, start, max(seconds, 0.05), SOUND_RATE)
    except (MediaError, UserError) as error:
        return str(error)
