"""Damage as cables, disks, downloads and editors do it to the bytes of a media file."""

from __future__ import annotations

import random
from collections.abc import Callable

Action = Callable[[bytearray, random.Random, list[bytes]], str]


def damaged(data: bytes, others: list[bytes], dice: random.Random) -> tuple[bytes, str]:
    """(the damaged bytes, what was done).

    Args:
        others: whole files of the same suffix, to be joined to this one.
    """
    found = bytearray(data)
    while True:
        done = dice.choice(ACTIONS)(found, dice, others)
        if bytes(found) != data:
            return bytes(found), done


def _place(data: bytearray, dice: random.Random) -> int:
    """Anywhere; often in the first kilobyte, where the headers are."""
    return dice.randrange(min(len(data), 1024)) if dice.random() < 0.3 else dice.randrange(len(data))


def _flip(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    count = dice.choice((1, 1, 2, 8, 64))
    for _ in range(count):
        data[_place(data, dice)] ^= 1 << dice.randrange(8)
    return f"{count} bits flipped"


def _noise(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    start, size = _place(data, dice), dice.choice((4, 32, 256, 2048))
    size = min(size, len(data) - start)
    data[start : start + size] = dice.randbytes(size)
    return f"{size} bytes of noise at {start}"


def _zeros(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    start, size = _place(data, dice), dice.choice((4, 64, 260, 4096))
    size = min(size, len(data) - start)
    data[start : start + size] = bytes(size)
    return f"{size} bytes zero at {start}"


def _cut(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    end = dice.randrange(1, len(data))
    del data[end:]
    return f"cut after {end}"


def _hole(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    start, size = _place(data, dice), dice.choice((1, 16, 188, 1316, 5000))
    del data[start : start + size]
    return f"{size} bytes missing at {start}"


def _twice(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    start, size = _place(data, dice), dice.choice((188, 1000, 5000))
    data[start:start] = data[start : start + size]
    return f"{size} bytes twice at {start}"


def _swapped(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    size = dice.choice((100, 1000))
    a, b = sorted((_place(data, dice), _place(data, dice)))
    if b - a < size or b + size > len(data):
        return ""
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
    return f"{size} bytes at {a} and {b} swapped"


def _inserted(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    start, size = _place(data, dice), dice.choice((1, 7, 188, 3000))
    data[start:start] = dice.randbytes(size)
    return f"{size} bytes of noise put in at {start}"


def _length(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    """A field that may be a length says something extreme."""
    start = _place(data, dice)
    value = dice.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1", b"\x80\0\0\0"))
    data[start : start + 4] = value
    return f"{value.hex()} at {start}"


def _tail(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    size = dice.choice((1, 128, 400, 4096))
    data += dice.choice((bytes(size), dice.randbytes(size), b"\n" * size))
    return f"{size} bytes behind its end"


def _joined(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    data += dice.choice(others)
    return "another file behind its end"


def _early(data: bytearray, dice: random.Random, others: list[bytes]) -> str:
    size = dice.randrange(1, min(len(data), 4000))
    del data[:size]
    return f"the first {size} bytes missing"


ACTIONS: tuple[Action, ...] = (
    _flip, _flip, _flip, _noise, _noise, _zeros, _zeros, _cut, _hole, _twice, _swapped, _inserted, _length, _length,
    _tail, _joined, _early,
)  # fmt: skip
