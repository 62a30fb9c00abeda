"""Files that were put together byte by byte: FFmpeg plays one of them, or lays one on the clock of the other."""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from avssl.media.containers.demux import Deadline, opened, packets, stream_at
from avssl.media.containers.ebml import CLUSTER, EBML, SEGMENT, elements

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_TS_PACKET = 188
_TS_STEPS = (188, 192, 204)
"""Bytes from packet to packet: bare, with a time before each, with a checksum behind each."""
_FOLLOWING_PICTURES = 12
"""So many and none of the others between: at the end of several programmes at once one may stop a little before."""


_RATE_HEADERS = {
    "h264": re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67].*?(?=\x00\x00\x01|\Z)", re.DOTALL),
    "hevc": re.compile(rb"\x00\x00\x01[\x40\x42]\x01.*?(?=\x00\x00\x01|\Z)", re.DOTALL),
}
"""Parameter sets that tell the rate, by the name of the format (ITU-T H.264 and H.265, 7.3.1.2 and annexes B and E).
In MPEG-1 and MPEG-2 video FFmpeg keeps one clock over a change, and motion JPEG says nothing of a rate."""


def second_beginning(path: str, format_names: set[str]) -> str | None:
    """Whether another file begins inside this one, in words with the place; None if not.

    Args:
        format_names: as FFmpeg calls its container.
    """
    finders = [finder for name, finder in _FINDERS.items() if name in format_names]
    if not finders:
        return None
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = finders[0](data)
        return None if place is None else f"joined: another file begins in it, after {place} of {len(data)} bytes"


def streams_are_joined(path: str) -> bool:
    """Whether a transport stream stops and another begins: all its counters start anew at one place.

    Where packets were lost, counters go on with some later number (ISO/IEC 13818-1, 2.4.3.3).
    """
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        counters: dict[int, int] = {}
        anew: dict[int, int] | None = None
        for at in range(0, len(data) - _TS_PACKET + 1, _TS_PACKET):
            pid, told = (data[at + 1] & 31) << 8 | data[at + 2], data[at + 3]
            if data[at] != 0x47 or pid == 0x1FFF or not told & 0x10:
                continue
            expected = (counters.get(pid, told - 1 & 15) + 1) & 15
            if anew is None and told & 15 not in (expected, expected - 1 & 15):
                anew = {}
            if anew is not None:
                anew.setdefault(pid, told & 15)
            counters[pid] = told & 15
    return anew is not None and set(anew.values()) == {0}


def another_film_follows(path: str, pid: int) -> bool:
    """Whether a transport stream goes on, after the last packet of its pictures, with pictures of another number (PID).

    FFmpeg shows the first and passes over the rest. Pictures of several programmes at once are no joint.

    Args:
        pid: of the pictures that are shown.
    """
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        lead, step = transport_grid(data)
        begun: dict[int, int] = {}
        for at in range(lead + (len(data) - lead) // step * step - step, -1, -step) if step else ():
            if data[at] != 0x47:
                return False
            number = (data[at + 1] & 31) << 8 | data[at + 2]
            if number == pid:
                return False
            content = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            if data[at + 1] & 0x40 and data[content : content + 3] == b"\0\0\1" and data[content + 3] >> 4 == 0xE:
                begun[number] = begun.get(number, 0) + 1
                if begun[number] >= _FOLLOWING_PICTURES:
                    return True
    return False


def rate_change(path: str, index: int, deadline: Deadline) -> str | None:
    """That the pictures of a bare stream change their rate, in words with the time; None if they do not.

    Such a stream has no clock but the rate in its headers: where it changes, another film begins.

    Args:
        index: of the stream of pictures.

    Raises:
        MediaError: the deadline has passed.
        av.FFmpegError: the file cannot be read.
    """
    with opened(path, deadline) as container:
        headers = _RATE_HEADERS.get(container.format.name)
        if headers is None:
            return None
        stream = stream_at(container, index, VideoStream, path)
        rate, known = None, None
        for pictures, packet in enumerate(packets(container, deadline, stream)):
            data = bytes(packet)
            found = headers.findall(data)
            if found and found != known:
                known = found
                told = _rate_in(stream.codec_context.codec.name, data)
                if rate and told and told != rate:
                    words = f"the rate of its pictures changes from {float(rate):g} to {float(told):g} a second"
                    return f"joined: {words} at {float(pictures / rate):.2f} s"
                rate = told or rate
    return None


def transport_grid(data: mmap.mmap) -> tuple[int, int]:
    """Where the first packet of a transport stream lies and how many bytes the next is behind it (0: unknown)."""
    for lead in (0, 4):  # camera files put four bytes of time before each packet
        for step in _TS_STEPS:
            if data[lead : lead + 1] == b"G" == data[lead + step : lead + step + 1]:
                return lead, step
    return 0, 0


# --- how ------------------------------------------------------------------------------------------------------


def _in_mp4(data: mmap.mmap) -> int | None:
    """A second table of contents. The same one again is no harm in fragmented files: live streams repeat it."""
    at, first = 0, b""
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if size == 1 and at + 16 <= len(data):
            size = struct.unpack(">Q", data[at + 8 : at + 16])[0]
        if size < 8:
            return None
        if name == b"moov" and at + size <= len(data):
            contents = data[at : at + size]
            if first and (contents != first or b"mvex" not in first):
                return at
            first = contents
        at += size
    return None


def _in_matroska(data: mmap.mmap) -> int | None:
    seen = False
    for part in elements(data, 0, len(data)):
        if part.id == EBML and seen:
            return part.start
        seen = seen or part.id == SEGMENT
        if part.id == SEGMENT and part.is_open:
            return _in_live_matroska(data, part.content)
    return None


def _in_live_matroska(data: mmap.mmap, start: int) -> int | None:
    """In a segment without a size, whose clusters may have none either, all lies in one row."""
    while True:
        for part in elements(data, start, len(data)):
            if part.id == EBML:
                return part.start
            if part.id == CLUSTER and part.is_open:
                start = part.content
                break
        else:
            return None


def _in_avi(data: mmap.mmap) -> int | None:
    """Long files go on in chunks RIFF AVIX (OpenDML AVI file format extensions); RIFF AVI begins a new one."""
    at = 0
    while at + 12 <= len(data):
        name, size, kind = struct.unpack("<4sI4s", data[at : at + 12])
        if at and name == b"RIFF" and kind == b"AVI ":
            return at
        if name != b"RIFF":
            return None
        at += 8 + size + (size & 1)
    return None


def _in_flv(data: mmap.mmap) -> int | None:
    """Tags of 11 bytes and a body, each followed by its length (Adobe FLV specification 10.1, annex E)."""
    at = 9 + 4
    while at + 11 <= len(data):
        if data[at : at + 4] == b"FLV\1":
            return at
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
    return None


def _in_asf(data: mmap.mmap) -> int | None:
    at = 0
    while at + 24 <= len(data):
        if at and data[at : at + 16] == _ASF_HEADER:
            return at
        size = struct.unpack("<Q", data[at + 16 : at + 24])[0]
        if size < 24:
            return None
        at += size
    return None


def _in_ogg(data: mmap.mmap) -> int | None:
    """Logical streams that begin after others ended (chaining: RFC 3533, 4)."""
    at, bodies = 0, False
    while at + 27 <= len(data) and data[at : at + 4] == b"OggS":
        begins = bool(data[at + 5] & 2)
        if begins and bodies:
            return at
        bodies = bodies or not begins
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return None


def _in_gif(data: mmap.mmap) -> int | None:
    """FFmpeg shows the frames of what follows, too, in the colours and sizes of the first."""
    at = data.find(b"\0;GIF8")  # the trailer and another head
    return None if at < 0 else at + 2


_FINDERS: dict[str, Callable[[mmap.mmap], int | None]] = {
    "mp4": _in_mp4,
    "matroska": _in_matroska,
    "avi": _in_avi,
    "flv": _in_flv,
    "asf": _in_asf,
    "ogg": _in_ogg,
    "gif": _in_gif,
}


def _rate_in(codec: str, data: bytes) -> Fraction | None:
    """What a decoder reads from a packet with headers and a picture."""
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    try:
        decoder.decode(cast("Packet[VideoStream]", av.Packet(data)))
    except av.FFmpegError:
        return None
    return decoder.framerate or None
