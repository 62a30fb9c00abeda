"""MPEG transport streams: packets of 188 bytes with a counter each (ISO/IEC 13818-1, 2.4.3)."""

from __future__ import annotations

from avssl.media.containers.mapped import Data, mapped

PACKET_BYTES = 188
# Bytes from packet to packet: bare; with a time stamp before each (M2TS); with a checksum behind each.
_STEPS = (188, 192, 204)
_TABLES = (0, 1, 0x1FFF)  # packet identifiers that are never scrambled: tables and padding (table 2-3)
# So many, and none of the shown ones between: of several programmes in one stream one may end a little earlier.
_FOLLOWING_PICTURES = 12


def grid(data: Data) -> tuple[int, int]:
    """The byte of the first packet, and the number of bytes from packet to packet (0: unknown)."""
    for lead in (0, 4):  # camera files put four bytes of time before each packet
        for step in _STEPS:
            if data[lead : lead + 1] == b"G" == data[lead + step : lead + step + 1]:
                return lead, step
    return 0, 0


def end(data: Data) -> int:
    """The byte behind the last packet; the end of the data where the last one is cut."""
    start, step = grid(data)
    if not step:
        return len(data)
    whole = count = (len(data) - start + step - PACKET_BYTES) // step
    while count and data[start + (count - 1) * step] != 0x47:
        count -= 1
    is_cut = count == whole and data[start + count * step : start + count * step + 1] in (b"", b"G")
    return len(data) if is_cut else start + (count - 1) * step + PACKET_BYTES


def are_joined(path: str) -> bool:
    """Whether two streams were concatenated: all continuity counters restart at one place (2.4.3.3).

    Where packets were lost, counters continue with some later number.
    """
    with mapped(path) as data:
        counters: dict[int, int] = {}
        anew: dict[int, int] | None = None
        for at in range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES):
            pid, flags = _pid(data, at), data[at + 3]
            if data[at] != 0x47 or pid == 0x1FFF or not flags & 0x10:
                continue
            expected = (counters.get(pid, flags - 1 & 15) + 1) & 15
            if anew is None and flags & 15 not in (expected, expected - 1 & 15):
                anew = {}
            if anew is not None:
                anew.setdefault(pid, flags & 15)
            counters[pid] = flags & 15
    return anew is not None and set(anew.values()) == {0}


def another_film_follows(path: str, pid: int) -> bool:
    """Whether, after the last packet of the pictures that FFmpeg shows (``pid``), pictures of another PID follow.

    FFmpeg ignores those. Pictures of several programmes at once are no joint. Read backwards, to stop early.
    """
    with mapped(path) as data:
        lead, step = grid(data)
        begun: dict[int, int] = {}
        for at in range(lead + (len(data) - lead) // step * step - step, -1, -step) if step else ():
            number = _pid(data, at)
            if data[at] != 0x47 or number == pid:
                return False
            content = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            if data[at + 1] & 0x40 and data[content : content + 3] == b"\0\0\1" and data[content + 3] >> 4 == 0xE:
                begun[number] = begun.get(number, 0) + 1
                if begun[number] >= _FOLLOWING_PICTURES:
                    return True
    return False


def is_encrypted(data: Data) -> bool:
    """Whether most packets with a payload are scrambled (transport_scrambling_control, 2.4.3.3)."""
    scrambled = clear = 0
    for at in range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES):
        if data[at] != 0x47:
            return False
        if _pid(data, at) not in _TABLES and data[at + 3] & 0x10:
            scrambled += data[at + 3] >> 6 != 0
            clear += data[at + 3] >> 6 == 0
    return scrambled > clear


def _pid(data: Data, packet: int) -> int:
    return (data[packet + 1] & 31) << 8 | data[packet + 2]
