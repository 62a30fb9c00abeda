"""Frames that no other refers to, recognised by the first bytes of their packets.

Only where the codec leaves no doubt: B-pictures of MPEG-1, -2 and -4; those that H.264 marks, where frames are coded
whole (of two fields only one may be a reference); those that HEVC marks, where there is one temporal layer (a picture
that its own layer does not refer to may serve a higher one). In VP8 and VP9 every picture updates the probabilities of
the next; AV1 is not parsed.

Sources: ITU-T H.264, 7.3.1, 7.3.2.1 and 7.3.3; H.265, 7.4.2.2; H.262, 6.2.3 and 6.3.9; ISO/IEC 14496-2, 6.2.5;
ISO/IEC 14496-15, 5.3.3 and 8.3.3 (the records before avc1 and hvc1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from av.packet import Packet
from av.video.stream import VideoStream

from avssl.media.containers.h26x import Bits, unit_length_bytes

# Decoders whose key frames carry all that is needed to decode what follows.
_KEY_FRAMES_BEGIN_ANEW = {"vp8", "vp9", "libdav1d"}
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_MPEG12_PICTURE = re.compile(rb"\x00\x00\x01\x00.(.)", re.DOTALL)
_MPEG4_PICTURE = re.compile(rb"\x00\x00\x01\xb6(.)", re.DOTALL)


class References:
    """Which packets of one stream are not referred to.

    Attributes:
        keeps_parameters: no packet so far has brought parameter sets: a decoder knows those of the container's header,
            wherever in the file it has been.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        codec, extra = context.codec.name, context.extradata or b""
        self._length_bytes = unit_length_bytes(context)
        self._is_free: Callable[[memoryview], bool] | None = None
        self._may_skip = True
        self.keeps_parameters = codec in _KEY_FRAMES_BEGIN_ANEW or self._length_bytes > 0
        if codec == "h264" and self._length_bytes:
            self._is_free = self._h264
            self._may_skip = all(map(_codes_whole_frames, _sequence_parameters(extra)))
        elif codec == "hevc" and self._length_bytes:
            self._is_free = self._hevc
            self._may_skip = extra[21] >> 3 & 7 == 1
        elif codec in ("mpeg1video", "mpeg2video"):
            self._is_free = _mpeg12
        elif codec == "mpeg4":
            self._is_free = _mpeg4

    def is_free(self, packet: Packet[VideoStream]) -> bool:
        """Whether no other picture refers to the one in this packet, so that it may be skipped."""
        if self._is_free is None or not packet.size:
            return False
        return self._is_free(memoryview(cast("Any", packet))) and self._may_skip

    def _h264(self, data: memoryview) -> bool:
        at, end, size, free = 0, len(data), self._length_bytes, False
        while at + size < end:
            length = int.from_bytes(data[at : at + size], "big")
            head = data[at + size]
            if 1 <= head & 31 <= 5:
                if head & 0x60 or not (free or _begins_b_slice(data, at + size + 1)):
                    return False
                free = True
            elif head & 31 in (7, 8, 13, 15):
                self.keeps_parameters = False
                return False
            at += size + length
        return free and at == end

    def _hevc(self, data: memoryview) -> bool:
        at, end, size, free = 0, len(data), self._length_bytes, False
        while at + size < end:
            kind = data[at + size] >> 1 & 63
            if kind < 32:
                if kind > 8 or kind & 1:
                    return False
                free = True
            elif kind in (32, 33, 34):
                self.keeps_parameters = False
                return False
            at += size + int.from_bytes(data[at : at + size], "big")
        return free and at == end


def _begins_b_slice(data: memoryview, at: int) -> bool:
    """Whether a slice header begins with macroblock 0 and type 1 or 6 (as ue(v) codes: 1 010 or 1 00111)."""
    return at < len(data) and (data[at] >> 4 == 0b1010 or data[at] >> 2 == 0b100111)


def _mpeg12(data: memoryview) -> bool:
    kinds = _MPEG12_PICTURE.findall(data)
    return bool(kinds) and all(kind[0] >> 3 & 7 == 3 for kind in kinds)


def _mpeg4(data: memoryview) -> bool:
    kinds = _MPEG4_PICTURE.findall(data)
    return bool(kinds) and all(kind[0] >> 6 == 2 for kind in kinds)


def _sequence_parameters(record: bytes) -> list[bytes]:
    """The sequence parameter sets in the avcC record of an MP4 or Matroska file."""
    found, at = [], 6
    for _ in range(record[5] & 31):
        length = int.from_bytes(record[at : at + 2], "big")
        found.append(record[at + 2 : at + 2 + length].replace(b"\0\0\3", b"\0\0"))
        at += 2 + length
    return found


def _codes_whole_frames(parameters: bytes) -> bool:
    """Whether a sequence parameter set of H.264 says that no frame is coded as two fields (frame_mbs_only_flag)."""
    bits = Bits(parameters[4:])
    bits.exp_golomb()  # which set it is
    if parameters[1:2] and parameters[1] in _HIGH_PROFILES:
        if bits.exp_golomb() == 3:  # chroma format
            bits.take(1)
        bits.exp_golomb(), bits.exp_golomb()  # bit depths
        if bits.take(2) & 1:
            return False  # the flag would follow scaling matrices, which hardly any encoder writes here: not parsed
    bits.exp_golomb()  # frame numbers
    order = bits.exp_golomb()
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.take(1), bits.exp_golomb(), bits.exp_golomb()
        for _ in range(min(bits.exp_golomb(), 255)):
            bits.exp_golomb()
    bits.exp_golomb(), bits.take(1), bits.exp_golomb(), bits.exp_golomb()  # references, gaps, width, height
    return bits.take(1) == 1
