"""One open media file and its decoders, so that a later read can continue and return the same.

* Only containers are used again whose tables say where everything lies: in others, what was read before decides where a
  seek leads.
* A decoder of pictures goes on only where it stood, or begins anew at a key frame with what the container's header says
  (:class:`avssl.media.containers.references.References`); sound gets a new decoder each time: some draw noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from avssl.media.containers.demux import Deadline, open_container, stream_at
from avssl.media.decoding.walk import Walk

# Frames in a decoder's pool (references, and those waiting to be shown), and bytes a pixel of 10-bit 4:2:0.
FRAMES_HELD, BYTES_A_PIXEL = 8, 3
INDEX_ENTRY_BYTES = 40  # of memory that FFmpeg takes for each packet in the index of a container

# Prefixes of formats in which a seek leads to the same place whatever was read before: in Matroska to key frames, which
# its cues list, but not to packets of sound.
FOR_PICTURES, FOR_SOUND = ("mov", "matroska"), ("mov",)
# Audio decoders that a new one, set up by _decoder_like, is equal to.
ALIKE = {"aac", "flac", "mp3float", "opus", "vorbis"}

Stamp = tuple[int, int, int, int]  # device, number on it, size and time of modification of a file


class SoundSource(NamedTuple):
    """A stream of sound in a container that nobody else reads from, and who decodes it."""

    container: InputContainer
    stream: AudioStream
    decoder: AudioCodecContext


class OpenFile:
    """A file and what is open of it. Containers are opened on first use.

    Pictures and sound share one container at first, in which each has to seek; a file that is read again gets a second
    one for its sound, so that its pictures can continue where they stand (``walk``).
    """

    def __init__(self, path: str, deadline: Deadline) -> None:
        self.path = path
        self.deadline = deadline
        self.stamp = stamp_of(path)
        self.walk: Walk | None = None
        self._pictures: InputContainer | None = None
        self._is_probed = True
        self._sound: InputContainer | None = None
        self._comes_again = False
        self._decoder_is_used = False
        self._may_stay = True

    def pictures(self) -> tuple[InputContainer, bool]:
        """The container for pictures, and whether it stands at its start, just opened."""
        self.end_walk()
        self._comes_again |= self._pictures is not None
        if self._pictures is None and self._sound is not None and _leads_to_same(self._sound, FOR_PICTURES):
            self._pictures, self._sound, self._is_probed = self._sound, None, True
        if self._pictures is not None:
            self.deadline.new_pass()
            return self._pictures, False
        self._pictures, self._is_probed = _opened_for_pictures(self.path, self.deadline)
        return self._pictures, True

    def goes_on(self) -> None:
        """Note that the pictures continue where they stand."""
        self._comes_again = True
        self.deadline.new_pass()

    def sound(self, index: int, *, from_start: bool) -> SoundSource:
        """The audio stream, at its start or to be sought in, with a decoder that has decoded nothing yet."""
        shared = self._pictures if self._is_probed and not self._comes_again else None
        container = self._sound if self._sound is not None else shared
        if container is None or from_start or not _leads_to_same(container, FOR_SOUND):
            container = self._open_for_sound()
        stream = stream_at(container, index, AudioStream, self.path)
        if self._decoder_is_used and not _has_alike(stream):
            container = self._open_for_sound()
            stream = stream_at(container, index, AudioStream, self.path)
        if container is self._pictures:
            self.end_walk()
        self.deadline.new_pass()
        decoder = _decoder_like(stream) if self._decoder_is_used else stream.codec_context
        self._decoder_is_used = True
        return SoundSource(container, stream, decoder)

    def may_stay(self) -> bool:
        """Whether something is left that may be read again as it is; what may not is closed."""
        self._may_stay &= self.walk is None or self.walk.may_go_on
        if self._pictures is not None and not (self._may_stay and _leads_to_same(self._pictures, FOR_PICTURES)):
            self._close_pictures()
        if self._sound is not None and not _leads_to_same(self._sound, FOR_SOUND):
            self._close_sound()
        return self.stamp is not None and (self._pictures is not None or self._sound is not None)

    @property
    def stands_in(self) -> int | None:
        """The number of the group in which its pictures stand."""
        return None if self.walk is None else self.walk.key

    @property
    def has_sound(self) -> bool:
        """Whether its sound has a container of its own."""
        return self._sound is not None

    @property
    def bytes_held(self) -> int:
        """An estimate of the memory that it takes."""
        containers = [container for container in (self._pictures, self._sound) if container is not None]
        entries = sum(stream.frames for container in containers for stream in container.streams)
        pixels = sum(
            stream.codec_context.width * stream.codec_context.height
            for stream in (self._pictures.streams.video if self._pictures is not None else ())
            if stream.codec_context is not None and stream.codec_context.is_open
        )
        return entries * INDEX_ENTRY_BYTES + pixels * BYTES_A_PIXEL * FRAMES_HELD

    def end_walk(self) -> None:
        if self.walk is not None:
            self._may_stay &= self.walk.may_go_on
            self.walk.close()
            self.walk = None

    def close(self) -> None:
        """Close all of it; reading opens it anew."""
        self._close_pictures()
        self._close_sound()

    def _close_pictures(self) -> None:
        self.end_walk()
        if self._pictures is not None:
            self._pictures.close()
        self._pictures, self._may_stay = None, True

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._sound = None

    def _open_for_sound(self) -> InputContainer:
        self._close_sound()
        self._sound = open_container(self.path, self.deadline)
        self._decoder_is_used = False
        return self._sound


def _opened_for_pictures(path: str, deadline: Deadline) -> tuple[InputContainer, bool]:
    """The file, and whether FFmpeg has probed it, which sound needs.

    Probing takes most of the time of opening. H.264 in an MP4 that lists its packets does without: the header has the
    decoder's parameters, and FFmpeg takes the delay of reordered pictures from the list.
    """
    with Path(path).open("rb") as file:
        may_do = file.read(8)[4:] == b"ftyp"
    if may_do:
        container = open_container(path, deadline, probe=False)
        contexts = [stream.codec_context for stream in container.streams.video]
        if _leads_to_same(container, ("mov",)) and all(map(_is_told_by_header, contexts)):
            return container, False
        container.close()
    return open_container(path, deadline), True


def _is_told_by_header(context: VideoCodecContext | None) -> bool:
    return context is not None and context.codec.name == "h264" and bool(context.extradata)


def stamp_of(path: str) -> Stamp | None:
    """What changes when a file is rewritten, cut or replaced; None where there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None  # opening it will say what is wrong
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _leads_to_same(container: InputContainer, formats: tuple[str, ...]) -> bool:
    """Whether a seek leads to the same place whatever was read before."""
    is_listed = all(stream.frames for stream in container.streams if stream.type in ("video", "audio"))
    return container.format.name.startswith(formats) and (is_listed or not container.format.name.startswith("mov"))


def _has_alike(stream: AudioStream) -> bool:
    """Whether :func:`_decoder_like` gives a decoder for this stream that is like its own."""
    context = stream.codec_context
    own_order = "channels" in context.layout.name or context.layout.name.startswith("ambisonic")
    return context.codec.name in ALIKE and not own_order


def _decoder_like(stream: AudioStream) -> AudioCodecContext:
    own = stream.codec_context
    other = cast("AudioCodecContext", av.CodecContext.create(own.codec.name, "r"))
    other.extradata = own.extradata
    other.sample_rate = own.sample_rate
    other.layout = own.layout.name
    other.thread_type = av.codec.context.ThreadType.NONE
    other.thread_count = 1
    # By the clock of its packets it takes from the first time stamp what encoders put before the sound.
    other.options = {"pkt_timebase": str(stream.time_base)}
    return other
