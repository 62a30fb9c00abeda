"""Headers of H.264 and HEVC: units of a packet, codes of variable length, and what kind of picture begins there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from media.made import Recipe, make

from avssl.media.containers import h26x
from avssl.media.containers.demux import Deadline
from avssl.media.containers.h26x import (
    Bits,
    base_slices,
    has_forbidden_bytes,
    is_b_picture,
    is_idr,
    rate_change,
    unit_length_bytes,
    units,
)

START = b"\0\0\1"


def context(codec: str = "h264", extradata: bytes | None = None) -> Any:
    return SimpleNamespace(codec=SimpleNamespace(name=codec), extradata=extradata)


class Packet(bytes):
    """A packet of a stream that has this decoder."""

    stream: Any


def packet(data: bytes, extradata: bytes | None = None) -> Any:
    made = Packet(data)
    made.stream = SimpleNamespace(codec_context=context("h264", extradata))
    return made


def bits(text: str) -> bytes:
    """Zeros and ones, filled up to whole bytes with zeros."""
    digits = text.replace(" ", "")
    return bytes(int(digits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(digits), 8))


def test_numbers_of_fixed_and_of_variable_length_are_read_one_after_the_other() -> None:
    read = Bits(bits("101 1 010 011 00100 00101 00110 00111 0001000 1"))
    assert read.take(3) == 5
    assert [read.exp_golomb() for _ in range(9)] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    rest = Bits(b"\xf1")
    assert (rest.take(4), rest.take(3), rest.take(1), rest.take(1)) == (15, 0, 1, 0)


def test_units_lie_between_start_codes() -> None:
    assert units(START + b"abc" + START + b"d", 0) == [(3, 6), (9, 10)]
    assert units(b"x\0" + START + b"abc\0" + START, 0) == [(5, 9), (12, 12)]
    assert units(b"no start code", 0) == []


@pytest.mark.parametrize("length_bytes", [1, 2, 3, 4])
def test_units_lie_behind_their_lengths(length_bytes: int) -> None:
    two, one = (number.to_bytes(length_bytes, "big") for number in (2, 1))
    first, second = length_bytes, 2 * length_bytes + 2
    assert units(two + b"ab" + one + b"c", length_bytes) == [(first, first + 2), (second, second + 1)]
    assert units(two + b"ab" + two + b"c", length_bytes) == [(first, first + 2), (second, second + 1)], "cut off"
    assert units(two + b"ab" + one, length_bytes) == [(first, first + 2)], "a length with nothing behind it"


@pytest.mark.parametrize(("codec", "at"), [("h264", 4), ("hevc", 21)])
def test_a_configuration_record_says_of_how_many_bytes_lengths_are(codec: str, at: int) -> None:
    for count in (1, 2, 4):
        record = b"\1" + b"\xff" * (at - 1) + bytes([0xFC + count - 1])
        assert unit_length_bytes(context(codec, record)) == count
        assert unit_length_bytes(context(codec, record + b"\0\0")) == count
        assert unit_length_bytes(context("mpeg4", record)) == 0
    for left in (1, at - 1, at):
        assert unit_length_bytes(context(codec, (b"\1" + b"\xff" * at)[:left])) == 0, "a record cut off"
    assert unit_length_bytes(context(codec, START + b"\x67" + bytes(30))) == 0
    assert unit_length_bytes(context(codec, None)) == 0


def lengths(*found: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in found)


@pytest.mark.parametrize("wound", [b"\0\0\2", b"\0\0\0\7", b"\0\0\0\0\2"])
def test_two_zeros_and_a_zero_or_a_two_inside_a_unit_are_forbidden(wound: bytes) -> None:
    for found in ([b"a" + wound + b"b"], [b"a", wound + b"b", b"c"], [b"a", b"b" + wound + b"\7"]):
        assert has_forbidden_bytes(lengths(*found), 4)


def test_zeros_of_lengths_zeros_that_pad_and_start_codes_are_not_forbidden() -> None:
    assert not has_forbidden_bytes(lengths(b"\x65ab", b"\x41cd", b"e" * 300), 4)
    assert not has_forbidden_bytes(lengths(b"a\0\0", b"b" * 0x0200), 4), "the end of a unit and the next length"
    assert not has_forbidden_bytes(lengths(b"ab\0\0\0\0\0", b"c"), 4)
    assert not has_forbidden_bytes(lengths(b"a\0\0\1b", b"a\0\0\0\0\1b", b"a\0\0\3\0\0\3\2b"), 4)


def test_where_start_codes_part_units_zeros_may_stand_anywhere() -> None:
    assert not has_forbidden_bytes(START + b"\x65a\0\0\2b\0\0\0b", 0)


@pytest.mark.parametrize("head", [0x05, 0x25, 0x45, 0x65])
def test_an_h264_picture_with_which_all_before_it_can_be_forgotten(head: int) -> None:
    record = b"\1\x64\0\x1f\xff"
    kind = bytes([head])
    assert is_idr(packet(b"\0" + START + b"\x06sei" + START + kind + b"slice"))
    assert is_idr(packet(lengths(b"\x06sei", kind + b"slice"), record))
    assert is_idr(packet(b"\0\2\x06s\0\3" + kind + b"ab", b"\1\x64\0\x1f\xfd"))


@pytest.mark.parametrize("head", [0x41, 0x61, 0x01, 0x67, 0x68, 0x06, 0x64, 0x6D])
def test_an_h264_picture_that_may_need_others(head: int) -> None:
    other = bytes([head])
    assert not is_idr(packet(START + other + b"\x65e\x65"))
    assert not is_idr(packet(lengths(other + b"\x65e\x65", b"\x06\x65"), b"\1\x64\0\x1f\xff"))


P, B, KEY_SLICE = "1 1", "1 010", "1 011"
"""The beginning of a slice's header: its first macroblock, 0, and its type."""


@pytest.mark.parametrize(
    ("header", "is_b"),
    [
        (P, False),
        (B, True),
        (KEY_SLICE, False),
        ("1 00110", False),  # 5: a P slice, and so are all others
        ("1 00111", True),  # 6: a B slice, and so are all others
        ("1 0001000", False),  # 7
        ("00111 010", True),  # macroblock 6
        ("010 1", False),
        ("0000 0000 0000 0000 1" + 16 * "0" + "010", True),  # macroblock 65,535
    ],
)
def test_the_type_of_a_slice_is_behind_the_number_of_its_first_macroblock(header: str, is_b: bool) -> None:
    slice_ = b"\x01" + bits(header + "1111")
    assert is_b_picture(packet(START + slice_)) is is_b, "however short it is"
    assert is_b_picture(packet(START + slice_ + 50 * b"\xaa")) is is_b
    assert is_b_picture(packet(START + b"\x09\xf0" + START + b"\x06" + 300 * b"s" + START + slice_)) is is_b
    assert is_b_picture(packet(START + b"\x41" + bits(header + "1111"))) is is_b, "others may refer to it"


def test_the_first_slice_says_it_for_the_picture_and_other_units_say_nothing() -> None:
    p, b = (b"\x01" + bits(kind + "1111") + 9 * b"\xaa" for kind in (P, B))
    assert not is_b_picture(packet(START + p + START + b))
    assert is_b_picture(packet(START + b + START + p))
    for head in (0x65, 0x05, 0x02, 0x11):
        assert not is_b_picture(packet(START + bytes([head]) + b[1:]))
    assert not is_b_picture(packet(b"")) and not is_b_picture(packet(START))
    assert not is_b_picture(packet(START + b"\x06" + 5_000 * b"s" + START + b)), "beyond what is looked at"


KEY, OTHER = b"\x26\x01", b"\x02\x07"
"""Heads of HEVC units: of a random access picture, and of a slice of the highest temporal layer, which needs others."""


def test_slices_of_the_base_layer_of_hevc_are_found_and_nothing_else_is() -> None:
    others = [
        b"\x40\x01parameters",
        b"\x4e\x01message",
        b"\x26\x09second view",
        b"\x27\x01layer 32",
        b"\xa6\x01forbidden",
    ]
    data = b"".join(START + unit for unit in (*others, KEY + b"slice", OTHER + b"another", KEY, KEY + b"s"))
    found = base_slices(data, context("hevc"))
    assert [data[start:end] for start, end in found] == [KEY + b"slice", OTHER + b"another", KEY + b"s"]
    record = b"\1" + bytes(20) + b"\xff"
    data = lengths(*others, KEY + b"slice", b"\x3e\x01reserved")
    assert [data[start:end] for start, end in base_slices(data, context("hevc", record))] == [
        KEY + b"slice",
        b"\x3e\x01reserved",
    ]


def test_zeros_that_pad_a_slice_of_hevc_are_no_part_of_it_and_four_slices_are_enough() -> None:
    slices = [KEY + b"slice" + bytes([16 + k]) for k in range(6)]
    data = b"".join(START + one + k * b"\0\0\3" for k, one in enumerate(slices))
    assert [data[start:end] for start, end in base_slices(data, context("hevc"))] == slices[:4]


# --- the rate of a bare stream ------------------------------------------------------------------------------------


def change(path: Path, parts: list[bytes], rates: list[int | None], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What is said of these films in one file, whose headers hold these rates."""
    asked = iter(rates)
    monkeypatch.setattr(h26x, "_rate_in", lambda codec, data: next(asked))
    path.write_bytes(b"".join(parts))
    found = rate_change(str(path), 0, Deadline(str(path)))
    assert next(asked, "all") == "all", "headers are read once, however often they are repeated"
    return found


def test_headers_whose_rate_cannot_be_read_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        Path(make(tmp_path, Recipe("h264", sound=None, frames=8, group=4, rate=Fraction(rate)))).read_bytes()
        for rate in (24, 25, 30, 50)
    ]
    path = tmp_path / "joined.h264"
    words = "joined: the rate of its pictures changes from 25 to 50 a second at 0.96 s"
    assert change(path, parts, [None, 25, None, 50], monkeypatch) == words
    assert change(path, parts, [None, 25, None, 25], monkeypatch) is None
    assert change(path, parts[:1], [None], monkeypatch) is None
    assert change(path, [parts[0], parts[1], parts[0]], [25, 25, 30], monkeypatch) == words.replace("50", "30").replace(
        "0.96", "0.64"
    )


def test_other_containers_have_clocks(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mkv", sound=None, frames=8))
    assert rate_change(path, 0, Deadline(path)) is None


def test_a_packet_that_cannot_be_decoded_has_no_rate(tmp_path: Path) -> None:
    data = Path(make(tmp_path, Recipe("h264", sound=None, frames=1, rate=Fraction(30)))).read_bytes()
    assert h26x._rate_in("h264", data) == 30
    assert h26x._rate_in("h264", data[: data.index(START + b"\x65")] + START + b"\x65\xff\xff") is None
