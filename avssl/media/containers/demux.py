"""Opening a file with FFmpeg so that it can neither hang nor crash the process."""

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

READ_TIMEOUT_SECONDS = 60.0  # of CPU time, without progress in the file
WAIT_TIMEOUT_SECONDS = 120.0  # of wall-clock time, that a single read may wait for the disk

# FFmpeg also opens text, which it draws as pictures, and lists that name other files.
NOT_MEDIA_FORMATS = {"tty", "ffmetadata", "concat", "hls", "dash", "bin", "xbin", "adf", "idf", "vapoursynth"}

# What video decoders take for damage (FFmpeg's "err_detect"): they raise instead of concealing it with grey or with
# other pictures. "buffer" and the stricter flags also refuse intact files of old encoders.
STRICT = "explode+crccheck+bitstream"
# Where that is too strict: "bitstream" refuses the zeros that pad pictures in MPEG video of a constant bit rate,
# "explode" refuses TIFFs with tags that FFmpeg does not know.
_LESS_STRICT = {"mpeg1video": "explode+crccheck", "mpeg2video": "explode+crccheck", "tiff": "crccheck"}

# The deadline is checked at every eighth packet: asking for a thread's CPU time costs as much as demuxing one.
CHECKED_PACKETS = 8

S = TypeVar("S", bound=Stream)

# PyAV 18 raises at metadata that are not UTF-8 unless asked not to; PyAV 19 lost the argument and never raises.
_LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}


# No decoder may be opened to learn more, and no more than the next packet is read for it.
_NO_PROBE = {"codec_whitelist": "none", "probesize": "32"}


class Deadline:
    """Gives up a file that hangs, by the CPU time of this thread since the last progress in the file.

    Not by wall-clock time, which passes on a busy machine; nor in total, as a long film takes long.
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
        return self._end - time.thread_time()

    def restart(self, seconds: float) -> None:
        """Another read begins, which may work this long without progress."""
        self.seconds = seconds
        self._furthest.clear()
        self._begin()

    def new_pass(self) -> None:
        """The file is read again from some place on: packets that were reached before count as progress again."""
        self._furthest.clear()

    def progressed(self, packet: Packet[Stream]) -> None:
        """Note a packet; only one further in the file (or in time) than all before is progress: FFmpeg may loop."""
        place = packet.dts if packet.pos is None else packet.pos
        if place is not None and place > self._furthest.get(packet.stream_index, -1):
            self._furthest[packet.stream_index] = place
            self._begin()
            progressed()

    def check(self) -> None:
        """Raises MediaError after too much work without progress."""
        if threading.get_ident() != self._thread:  # CPU time is counted for each thread
            self._begin()
        if time.thread_time() > self._end:
            raise MediaError(self.path, f"reading took longer than {self.seconds:g} s and was given up")


@contextmanager
def opened(path: str, deadline: Deadline) -> Iterator[InputContainer]:
    """The file, open for one reader without threads; raises av.FFmpegError or OSError.

    FFmpeg gives up a read that waits for the disk; between packets :func:`packets` checks the deadline.
    """
    container = open_container(path, deadline)
    try:
        yield container
    finally:
        container.close()


def open_container(path: str, deadline: Deadline, *, probe: bool = True) -> InputContainer:
    """The same for callers that close it themselves.

    Args:
        path: of the file.
        deadline: for all that is read.
        probe: let FFmpeg open the decoders, to learn what the header does not say.
    """
    deadline.new_pass()
    container: InputContainer = av.open(
        # The prefix and the whitelist: a name like "http:x" or "%03d.png" is no address or pattern, and a playlist
        # cannot pull in other files.
        f"file:{path}",
        timeout=WAIT_TIMEOUT_SECONDS,
        container_options={"protocol_whitelist": "file", **({} if probe else _NO_PROBE)},
        **_LENIENT,
    )
    for stream in container.streams:
        if stream.codec_context is not None:
            # Leaving the decode loop early with frame threads has hung other projects; a worker has one core anyway.
            stream.codec_context.thread_type = "NONE"
            stream.codec_context.thread_count = 1
        if isinstance(stream, VideoStream) and stream.codec_context is not None:
            stream.codec_context.options = {"err_detect": _LESS_STRICT.get(stream.codec_context.codec.name, STRICT)}
            stream.codec_context.copy_opaque = True  # a frame then carries the number of its packet
    return container


def packets(container: InputContainer, deadline: Deadline, stream: S) -> Iterator[Packet[S]]:
    """The packets of this stream in file order, then an empty one. Raises MediaError at the deadline, FFmpegError."""
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
        # At the end PyAV may ask for a stream that appeared after it had listed them; those wanted came before.
        if not _was_raised_in_pyav(error):
            raise


def readable(source: Iterator[Packet[S]], enough_seconds: float = -math.inf) -> Iterator[Packet[S]]:
    """The packets up to where FFmpeg cannot read on; its error is raised before ``enough_seconds`` of container time.

    Bytes that belong to no packet may follow the last; they were checked when the file was indexed.
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
                tick = tick or packet.time_base or tick  # the same for all packets of a stream, and slow to ask for
            yield packet
    except av.FFmpegError:
        if end is None or not tick or float(end * tick) < enough_seconds:
            raise


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The video stream a player would take: the first marked as default, else the first; never cover art."""
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic and s.codec_context]
    if container.format.name.startswith("mov"):
        # An animated AVIF has, before its film, a still picture as a stream without a duration.
        pictures = [s for s in pictures if s.duration] or pictures
    return _preferred(pictures)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The audio stream a player would take."""
    return _preferred([s for s in container.streams.audio if s.codec_context])


def stream_at(container: InputContainer, index: int, kind: type[S], path: str) -> S:
    """The stream with this index; raises MediaError where it is missing or of another kind: the file has changed."""
    stream = container.streams[index] if index < len(container.streams) else None
    if not isinstance(stream, kind) or not stream.codec_context or not stream.time_base:
        raise MediaError(path, "has changed since it was indexed; run the command again")
    return stream


def _preferred(streams: list[S]) -> S | None:
    marked = [s for s in streams if s.disposition & Disposition.default]
    return next(iter(marked or streams), None)


# What a damaged file can provoke: FFmpeg's errors, and what PyAV raises where it cannot represent what FFmpeg returns.
FROM_THE_FILE = (av.FFmpegError, OSError, ValueError, ArithmeticError, NotImplementedError)


def is_files_own(error: Exception) -> bool:
    """Whether one of ``FROM_THE_FILE`` comes from the file: raised by FFmpeg, the system or inside PyAV.

    A ValueError of this program is a fault of the program, and must never become a file's verdict.
    """
    return isinstance(error, (av.FFmpegError, OSError)) or _was_raised_in_pyav(error)


def _was_raised_in_pyav(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    # PyAV is compiled, its frames are named by its sources: av/container/input.py
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith("av/")


def error_text(error: Exception) -> str:
    """The message of FFmpeg or the system, without error number and path."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
