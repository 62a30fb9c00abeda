"""Opening a file with FFmpeg so that it can neither hang nor take the process with it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeVar, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from avssl.errors import MediaError
from avssl.system.process_pool import progressed

# No call may work on a file for longer than this (CPU time) without getting on in it.
READ_TIMEOUT_SECONDS = 60.0
# No single read may wait for the disk, or for a turn on a busy machine, for longer than this.
WAIT_TIMEOUT_SECONDS = 120.0

# What FFmpeg also opens: text drawn as pictures, and lists that name other files.
NOT_MEDIA_FORMATS = {"tty", "ffmetadata", "concat", "hls", "dash", "bin", "xbin", "adf", "idf", "vapoursynth"}

# What FFmpeg's picture decoders take for damage ("err_detect"): they then raise instead of covering it up with grey or
# with parts of other pictures. "buffer" and the stricter ones also refuse healthy files of old encoders.
STRICT = "explode+crccheck+bitstream"
# Where that goes too far: MPEG video of a constant bit rate is padded with zeros behind a picture ("bitstream" minds),
# and a TIFF may have tags that FFmpeg does not know ("explode" minds).
_LESS_STRICT = {"mpeg1video": "explode+crccheck", "mpeg2video": "explode+crccheck", "tiff": "crccheck"}

# The deadline is looked at with every eighth packet: asking for a thread's CPU time costs as much as demuxing does.
CHECKED_PACKETS = 8

S = TypeVar("S", bound=Stream)

# PyAV 18 raises at metadata that are not UTF-8 unless asked not to; PyAV 19 lost the argument and never raises.
_LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


class Deadline:
    """Gives up work on a file that hangs: by the CPU time of this thread since the reading last got on.

    A busy machine makes everything late and nothing hang; a long file takes long, but gets on.
    """

    def __init__(self, path: str, seconds: float = READ_TIMEOUT_SECONDS) -> None:
        self.path = path
        self.seconds = seconds
        self._furthest: dict[int, int] = {}
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.get_ident()
        self._end = time.thread_time() + self.seconds

    @property
    def left(self) -> float:
        """Seconds of work that are left if the reading gets on no more."""
        return self._end - time.thread_time()

    def restart(self, seconds: float) -> None:
        """Another reading begins, which may work so long without getting on."""
        self.seconds = seconds
        self._furthest.clear()
        self._begin()

    def new_pass(self) -> None:
        """The file is read anew from some place on: what was reached before may be reached again."""
        self._furthest.clear()

    def progressed(self, packet: Packet[Stream]) -> None:
        """A packet has come; one that lies no further in the file, or in time, than those before is no progress."""
        place = packet.dts if packet.pos is None else packet.pos
        if place is not None and place > self._furthest.get(packet.stream_index, -1):
            self._furthest[packet.stream_index] = place
            self._begin()
            progressed()

    def check(self) -> None:
        """Raise MediaError after too much work without progress."""
        if threading.get_ident() != self._thread:  # every thread has a clock of its own
            self._begin()
        if time.thread_time() > self._end:
            raise MediaError(self.path, f"reading took longer than {self.seconds:g} s and was given up")


def strictness(codec: str) -> str:
    """What a decoder of this name takes for damage (FFmpeg's option "err_detect")."""
    return _LESS_STRICT.get(codec, STRICT)


@contextmanager
def opened(path: str, deadline: Deadline) -> Iterator[InputContainer]:
    """The file, open for one reader without threads.

    The name is never taken for an address or a pattern, and the file cannot pull in other files. FFmpeg gives up a
    read that waits for the disk; between packets :func:`packets` watches the deadline.

    Raises:
        av.FFmpegError, OSError: as FFmpeg says it.
    """
    container = open_container(path, deadline)
    try:
        yield container
    finally:
        container.close()


def open_container(path: str, deadline: Deadline) -> InputContainer:
    """The same for whoever closes it himself."""
    deadline.new_pass()
    container: InputContainer = av.open(
        f"file:{path}",
        timeout=WAIT_TIMEOUT_SECONDS,
        container_options={"protocol_whitelist": "file"},
        **_LENIENT,
    )
    for stream in container.streams:
        if stream.codec_context is not None:
            # Frame threads and an early end of reading have hung for others; a worker has one core anyhow.
            stream.codec_context.thread_type = "NONE"
            stream.codec_context.thread_count = 1
        if isinstance(stream, VideoStream) and stream.codec_context is not None:
            stream.codec_context.options = {"err_detect": strictness(stream.codec_context.codec.name)}
            stream.codec_context.copy_opaque = True  # a frame then says which packet it came from
    return container


def packets(container: InputContainer, deadline: Deadline, stream: S) -> Iterator[Packet[S]]:
    """The packets of this stream as they lie in the file; other streams are not read. Ends with an empty packet.

    Raises:
        MediaError: the deadline has passed.
        av.FFmpegError: as FFmpeg says it.
    """
    return cast("Iterator[Packet[S]]", packets_of_all(container, deadline, stream))


def packets_of_all(container: InputContainer, deadline: Deadline, *streams: Stream) -> Iterator[Packet[Stream]]:
    """The same of several streams at once."""
    wanted = {stream.index for stream in streams}
    for stream in container.streams:
        stream.discard = Discard.default if stream.index in wanted else Discard.all
    try:
        for number, packet in enumerate(container.demux(*streams)):
            if number % CHECKED_PACKETS == 0:
                deadline.check()
                deadline.progressed(packet)
            yield packet
    except IndexError as error:
        # At the end PyAV looks for a stream that came up after it had listed them; those asked for came before it.
        if not _was_raised_in_pyav(error):
            raise


def readable(source: Iterator[Packet[S]], enough_seconds: float = -math.inf) -> Iterator[Packet[S]]:
    """The packets up to where the container cannot be read on, if that is not before ``enough_seconds``.

    Bytes that belong to no packet may follow the last; they were checked when the file was indexed.

    Args:
        enough_seconds: container time.

    Raises:
        av.FFmpegError: as FFmpeg says it, where it stops before.
    """
    end: int | None = None
    tick = Fraction(0)
    try:
        for packet in source:
            pts = packet.pts
            if pts is not None:
                pts += packet.duration or 0
                if end is None or pts > end:
                    end = pts
                tick = tick or packet.time_base or tick  # the same for all packets of a stream; dear to ask for
            yield packet
    except av.FFmpegError:
        if end is None or not tick or float(end * tick) < enough_seconds:
            raise


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The picture stream a player would take: the first marked as default, else the first; never a cover.

    A moving AVIF holds the film and, before it, a still of its own, which lasts no time.
    """
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic and s.codec_context]
    if container.format.name.startswith("mov"):
        pictures = [s for s in pictures if s.duration] or pictures
    return _preferred(pictures)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The sound stream a player would take: the first marked as default, else the first."""
    return _preferred([s for s in container.streams.audio if s.codec_context])


def stream_at(container: InputContainer, index: int, kind: type[S], path: str) -> S:
    """The stream with this index.

    Raises:
        MediaError: there is none, or it is of another kind: the file is not the one that was looked at.
    """
    stream = container.streams[index] if index < len(container.streams) else None
    if not isinstance(stream, kind) or not stream.codec_context or not stream.time_base:
        raise MediaError(path, "the file has changed since it was indexed")
    return stream


def _preferred(streams: list[S]) -> S | None:
    marked = [s for s in streams if s.disposition & Disposition.default]
    return next(iter(marked or streams), None)


# What a damaged file can provoke: FFmpeg's own errors, and what PyAV raises where it cannot show what FFmpeg gives.
FROM_THE_FILE = (av.FFmpegError, OSError, ValueError, ArithmeticError, NotImplementedError)


def is_files_own(error: Exception) -> bool:
    """Whether one of ``FROM_THE_FILE`` is the file's doing: FFmpeg or the system says so, or it was raised inside PyAV.

    A ValueError of this program, and any TypeError, AttributeError or KeyError, is a fault of the program and must
    never become a file's verdict.
    """
    return isinstance(error, (av.FFmpegError, OSError)) or _was_raised_in_pyav(error)


def _was_raised_in_pyav(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # PyAV is compiled, its frames are named by its sources: av/container/input.py
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith("av/")


def error_text(error: Exception) -> str:
    """The message of FFmpeg or of the system, without its numbers and the path."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
