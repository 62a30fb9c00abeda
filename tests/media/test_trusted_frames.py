"""Which of the pictures that a decoder gives are whole, told on films of which only the outcome of decoding is given.

A film is written as its packets in decoding order: ``K`` a key frame, ``P`` another picture; ``!`` its packet cannot be
decoded, ``?`` its picture comes out and is called corrupt. What is said of them: ``w`` whole, ``d`` damaged, ``x`` a
packet in the place of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import av
import pytest
from av.video.frame import PictureType

from avssl.media.decoding import trusted_frames
from avssl.media.decoding.trusted_frames import decoded

START = b"\0\0\1"
IDR, OTHER, B_SLICE = START + b"\x65\xff", START + b"\x41\xff", START + b"\x01\xa0"
"""Slices of H.264: of an IDR picture, of a P picture (its number 0 and type 0 are one bit each), and of a B picture."""


@dataclass
class Frame:
    """A picture that comes out of a decoder; ``opaque`` is the place of its packet."""

    opaque: int | None
    pts: int | None
    key_frame: bool = False
    pict_type: PictureType = PictureType.P
    is_corrupt: bool = False


@dataclass
class Packet:
    """A packet, and the frames that come out when it goes in (None: an error)."""

    pts: int | None
    stream: Any
    is_keyframe: bool = False
    out: list[Frame] | None = None
    data: bytes = OTHER
    dts: int | None = None
    is_discard: bool = False
    opaque: object = None
    fed: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return self.data

    def decode(self) -> list[Frame]:
        self.fed.append(1)
        if self.out is None:
            raise av.error.InvalidDataError(1, "invalid data")
        return self.out


@pytest.fixture(autouse=True)
def _frames_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_frames, "VideoFrame", Frame)


def stream(codec: str = "mpeg4", form: str = "mpegts", entries: Any = None, extradata: bytes | None = None) -> Any:
    context = SimpleNamespace(codec=SimpleNamespace(name=codec), extradata=extradata)
    container = SimpleNamespace(format=SimpleNamespace(name=form))
    return SimpleNamespace(codec_context=context, container=container, index_entries=entries)


def film(text: str, **kind: Any) -> list[Packet]:
    """Packets whose pictures are shown as they are decoded."""
    of, found = stream(**kind), []
    for place, word in enumerate(text.split()):
        key = word[0] == "K"
        frame = Frame(place, place, key, PictureType.I if key else PictureType.P, "?" in word)
        out = None if "!" in word else [frame]
        found.append(Packet(place, of, key, out, IDR if key else OTHER))
    return found


def verdicts(packets: Any, **options: Any) -> str:
    found = decoded(packets, **options)
    return "".join(("w" if whole else "d") if isinstance(item, Frame) else "x" for item, whole in found)


def said(text: str, **kind: Any) -> str:
    return verdicts(film(text, **kind))


# --- damage and key frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        ("K P P K P", "wwwww"),
        ("K P P! P K P", "wwxdww"),
        ("K P P? P K P", "wwddww"),
        ("K! P P K P", "xddww"),
        ("K? P P K P", "dddww"),
        ("K P! P K! P P K P", "wxdxddww"),
        ("K P! P K? P P K P", "wxddddww"),
        ("K P K P! K P! K", "wwwxwxw"),
    ],
)
def test_damage_lasts_until_the_next_key_frame_that_is_decoded_whole(packets: str, expected: str, codec: str) -> None:
    assert said(packets, codec=codec) == expected


def test_a_picture_stands_on_what_was_decoded_since_its_key_frame_and_before_itself() -> None:
    packets = film("K P P P P K P P")
    packets[4].out = None
    shown = {k: packet.out for k, packet in enumerate(packets)}
    # The third is shown late, when the damage behind it is known; so is the key frame, behind which nothing is damaged.
    packets[3].out, packets[5].out, packets[6].out = [], [*(shown[3] or [])], [*(shown[5] or []), *(shown[6] or [])]
    assert verdicts(packets) == "wwwxwwww"


def test_a_picture_shown_after_a_key_frame_and_decoded_before_it_is_not_made_whole_by_it() -> None:
    packets = film("K P! P K P")
    late, key = packets[2].out, packets[3].out
    packets[2].out, packets[3].out, packets[4].out = [], [*(key or [])], [*(late or []), *(packets[4].out or [])]
    assert verdicts(packets) == "wxwww", "what stands on a picture before the key frame is judged by the key frame"


def test_what_the_container_calls_a_key_frame_is_one_if_its_picture_needs_no_other() -> None:
    for kind, expected in ((PictureType.I, "wxdww"), (PictureType.NONE, "wxdww"), (PictureType.P, "wxddd")):
        packets = film("K P! P K P")
        for frame in packets[3].out or []:
            frame.key_frame, frame.pict_type = False, kind
        assert verdicts(packets) == expected
    packets = film("K P! P P P")
    for frame in packets[3].out or []:
        frame.pict_type = PictureType.I
    assert verdicts(packets) == "wxddd", "nobody calls it a key frame"


def test_a_frame_that_does_not_say_of_which_packet_it_is_is_of_the_one_that_went_in() -> None:
    packets = film("K P P! P K P")
    for packet in packets:
        for frame in packet.out or []:
            frame.opaque = None
    assert verdicts(packets) == "wwxdww"


def test_a_key_frame_that_an_edit_list_hides_is_what_the_others_are_made_of() -> None:
    packets = film("K P P")
    packets[0].out, packets[0].is_discard = [], True
    assert verdicts(packets) == "ww"
    packets[0].is_discard = False
    assert verdicts(packets) == "dd"
    packets = film("K P K P")
    packets[1].is_discard, packets[2].out, packets[3].out = True, None, [Frame(3, 3)]
    assert verdicts(packets) == "wwxd", "only key frames"
    packets = film("K! P P")
    packets[0].is_discard = True
    assert verdicts(packets) == "xdd", "and only if it could be decoded"


@pytest.mark.parametrize(
    ("codec", "record"), [("h264", b"\1" + bytes(3) + b"\xff"), ("hevc", b"\1" + bytes(20) + b"\xff")]
)
def test_bytes_that_no_encoder_may_write_are_damage_though_the_decoder_sees_none(codec: str, record: bytes) -> None:
    packets = film("K P P P", codec=codec, extradata=record)
    for packet in packets:
        packet.data = b"\0\0\0\5\x26abcd"
    assert verdicts(packets) == "wwww"
    packets[2].data = b"\0\0\0\5\x26\0\0\2d"
    assert verdicts(packets) == "wwxd"
    assert [len(packet.fed) for packet in packets] == [2, 2, 1, 2], "such a packet is kept from the decoder"


def test_a_damaged_jpeg_is_damage_though_the_decoder_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_frames, "jpeg_is_damaged", lambda data: data != b"good")
    for codec, expected in (("mjpeg", "wxww"), ("mpeg4", "wwww")):
        packets = film("K K K P", codec=codec)
        packets[0].data = packets[2].data = b"good"
        packets[3].data = b""  # the end of the stream
        assert verdicts(packets) == expected


def test_a_packet_without_a_time_is_not_taken_for_one_shown_before_the_first() -> None:
    packets = film("K P! P K P")
    packets[1].pts = None
    assert verdicts(packets) == "wxdww"


# --- where decoding begins ----------------------------------------------------------------------------------------


def test_packets_before_the_first_key_frame_are_passed_over_where_decoding_begins_with_one() -> None:
    packets = film("P P K P")
    assert verdicts(packets) == "ww"
    assert [len(packet.fed) for packet in packets] == [0, 0, 1, 1]
    assert verdicts(packets, from_key=False) == "wwww", "whoever begins elsewhere knows why"
    assert verdicts(film("K! P P"), from_key=False) == "xdd"
    assert verdicts(film("P P! P K"), from_key=False) == "wxdw"
    assert verdicts(film("P P P")) == "" and verdicts([]) == ""


def test_the_end_of_the_stream_is_no_packet_before_the_first_key_frame() -> None:
    packets = film("P K")
    packets[0].data = b""
    assert verdicts(packets) == "ww"


def test_the_first_packet_that_is_used_may_be_too_late() -> None:
    asked: list[int] = []

    def late(packet: Any) -> bool:
        asked.append(packet.pts)
        return packet.pts > 2

    assert verdicts(film("P P K P K"), late=late) == "www" and asked == [2]
    assert verdicts(film("P P P K P K"), late=late) == "" and asked == [2, 3]
    packets = film("K K")
    packets[0].data = b""
    assert verdicts(packets, late=late) == "ww" and asked == [2, 3], "the end of the stream has no time"


class Index(list[Any]):
    """What a container lists: (time, whether it is a key frame)."""

    def search_timestamp(self, time: int) -> int:
        return max((k for k, entry in enumerate(self) if entry.timestamp <= time), default=-1)


def listed(*entries: tuple[int, bool]) -> Index:
    return Index(SimpleNamespace(timestamp=time, is_keyframe=key) for time, key in entries)


@pytest.mark.parametrize("form", ["mov,mp4,m4a,3gp", "matroska,webm", "avi", "asf"])
def test_a_key_frame_that_only_the_index_of_its_container_names_is_one(form: str) -> None:
    def damaged_first(entries: Index, form: str = form, dts: int | None = None) -> str:
        packets = film("P! P P K P", form=form, entries=entries)
        packets[0].dts = dts
        return verdicts(packets)

    assert damaged_first(listed((0, True), (3, True))) == "xddww"
    assert damaged_first(listed((-5, True), (-1, True)), dts=-1) == "xddww", "by the time of decoding"
    assert damaged_first(listed((-5, True), (0, True)), dts=-1) == "xddww", "or of showing"
    for other in (listed((0, False)), listed((-1, True)), listed((3, True)), listed()):
        assert damaged_first(other) == "ww"
    assert damaged_first(listed((0, True)), form="mpegts") == "ww", "where FFmpeg makes an index up"
    packets = film("P! P P K P", form=form, entries=listed((0, True)))
    packets[0].pts = None
    assert verdicts(packets) == "ww", "what has no time is not in the index"


# --- shown before the first key frame, and decoded after it -------------------------------------------------------


def leading(codec: str, *, fails: int | None = None, corrupt: int | None = None) -> list[Packet]:
    """A key frame, two pictures decoded after it and shown before it, and one shown after it."""
    of = stream(codec)
    key, early, late, after = Frame(0, 2, True, PictureType.I), Frame(1, 0), Frame(2, 1), Frame(3, 3)
    for frame in (key, early, late, after):
        frame.is_corrupt = frame.opaque == corrupt
    outs: list[list[Frame] | None] = [[], [early], [late], [key, after]]
    found = [
        Packet(pts, of, place == 0, out, OTHER if place else IDR)
        for place, (pts, out) in enumerate(zip((2, 0, 1, 3), outs, strict=True))
    ]
    if fails is not None:
        found[fails].out = None
    return found


def test_of_what_is_shown_before_the_first_key_frame_only_what_is_whole_is_shown() -> None:
    assert verdicts(leading("mpeg2video")) == "wwww"
    assert verdicts(leading("mpeg2video", corrupt=1)) == "www", "it needs what was cut away, and is not missed"
    assert verdicts(leading("mpeg2video", fails=1)) == "www"
    assert verdicts(leading("mpeg2video", fails=2)) == "www"
    assert verdicts(leading("mpeg2video", corrupt=3)) == "wwwd"
    packets = leading("mpeg2video")
    packets.insert(1, Packet(5, packets[0].stream, out=None))
    for packet in packets[2:]:
        for frame in packet.out or []:
            frame.opaque = frame.opaque + 1 if frame.opaque else 0
    assert verdicts(packets) == "xddwd", "but for damage before them"


def test_a_decoder_of_h264_draws_them_in_grey() -> None:
    assert verdicts(leading("h264")) == "ww"
    assert verdicts(leading("h264", fails=1)) == "ww"


@pytest.mark.parametrize(
    ("slices", "fails", "expected"),
    [
        ([IDR, B_SLICE, B_SLICE, OTHER, OTHER], 1, "wwww"),
        ([IDR, B_SLICE, B_SLICE, OTHER, OTHER], 2, "wwww"),
        ([IDR, B_SLICE, B_SLICE, OTHER, OTHER], 3, "wwwxd"),
        ([IDR, B_SLICE, OTHER, B_SLICE, OTHER], 3, "wwwxd"),
        ([IDR, OTHER, B_SLICE, OTHER, OTHER], 2, "wwxdd"),
        ([IDR, B_SLICE, B_SLICE, OTHER, OTHER], 0, "xdddd"),
    ],
)
def test_without_times_b_pictures_behind_the_first_key_frame_may_be_shown_before_it(
    slices: list[bytes], fails: int, expected: str
) -> None:
    for codec in ("h264", "mpeg4"):
        packets = film("K P P P P", codec=codec)
        for packet, data in zip(packets, slices, strict=True):
            packet.pts, packet.data = None, data
        packets[fails].out = None
        assert verdicts(packets) == (expected if codec == "h264" else "w" * fails + "x" + "d" * (4 - fails))


# --- cut out of a stream of open groups ---------------------------------------------------------------------------


def cut(text: str, comes_out: dict[int, int], codec: str = "h264") -> list[Packet]:
    """A film that begins with a key frame which is no IDR; pictures of packets that fail come out with later ones."""
    packets = film(text, codec=codec)
    for packet in packets:
        packet.data = OTHER
    for failed, later in comes_out.items():
        out = packets[later].out
        assert out is not None
        packets[later].out = [Frame(failed, failed), *out]
    return packets


def test_an_error_over_pictures_that_were_cut_away_is_none_if_the_picture_comes_out_all_the_same() -> None:
    assert verdicts(cut("K P P! P P P", {2: 4})) == "wwwwww"
    assert verdicts(cut("K P P! P P P", {})) == "wwxddd"
    assert verdicts(cut("K P P! P! P P P", {2: 4})) == "wwxwddd"
    assert verdicts(cut("K P P! P! P P P", {2: 4, 3: 5})) == "wwwwwww"
    assert verdicts(cut("K! P P", {0: 1})) == "xddd", "not of the key frame itself"
    assert verdicts(cut("K P P! P P P", {2: 4}, "mpeg4")) == "wwxdddd", "H.264 alone has such commands"
    corrupt = cut("K P P! P P P", {2: 4})
    assert corrupt[4].out is not None
    corrupt[4].out[0].is_corrupt = True
    assert verdicts(corrupt) == "wwxdddd"


def test_from_an_idr_on_nothing_was_cut_away() -> None:
    packets = cut("K P P! P P P", {2: 4})
    packets[0].data = IDR
    assert verdicts(packets) == "wwxdddd"


def test_behind_the_second_key_frame_an_error_is_damage() -> None:
    assert verdicts(cut("K P K P! P P", {3: 4})) == "wwwxddd"
    assert verdicts(cut("K P! K P", {1: 2})) == "wwww"


def test_a_picture_that_comes_out_later_than_any_decoder_holds_back_is_missed() -> None:
    rest = " P" * 40
    assert verdicts(cut("K P!" + rest, {1: 33})) == "w" * 42
    assert verdicts(cut("K P!" + rest, {1: 34})) == "wx" + "d" * 41
