"""Sound laid by counting: the whole decoded once, and any stretch read again from the nearest known place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media.made import tone
from media.test_foreign_sound import wav
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers.demux import Deadline
from avssl.media.decoding import counted_sound
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.counted_sound import Count, anchor_holds, decode_and_count, read_counted
from avssl.media.decoding.open_files import OpenFile

RATE = 16_000
BLOCK = 160
"""Samples of a packet, 10 ms."""


def encoded(count: int, rate: int = RATE, channels: int = 1, block: int = BLOCK) -> list[bytes]:
    """Packets of FLAC, whose headers all say their rate and how many channels they have."""
    encoder = av.CodecContext.create("flac", "w")
    encoder.sample_rate, encoder.format, encoder.time_base = rate, "s16", Fraction(1, rate)
    encoder.layout, encoder.options = {1: "mono", 2: "stereo"}[channels], {"frame_size": str(block)}
    found = []
    for k in range(count):
        samples = np.round(tone((k * block + np.arange(block)) / rate) * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.repeat(channels)[None], "s16", encoder.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, k * block, Fraction(1, rate)
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found + [bytes(packet) for packet in encoder.encode(None) if packet.size]


def written(folder: Path, packets: list[bytes], block: int = BLOCK) -> str:
    """A file of these packets, one behind the other, stamped in milliseconds."""
    path = str(folder / "made.mka")
    with av.open(path, "w", format="matroska") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        for k, data in enumerate(packets):
            packet = av.Packet(data)
            packet.pts = packet.dts = k * block
            packet.time_base, packet.stream = Fraction(1, RATE), stream
            container.mux(packet)
    return path


def broken(folder: Path, count: int, at: Collection[int]) -> str:
    """A file in which these packets cannot be decoded."""
    return written(folder, [bytes(40) if k in at else data for k, data in enumerate(encoded(count))])


def counted(path: str) -> Count:
    return decode_and_count(path, 0, Deadline(path))


def truth(count: int) -> NDArray[np.float32]:
    """What decoding so many packets gives."""
    return (np.round(tone(np.arange(count * BLOCK) / RATE) * 32_767) / 32_768).astype(np.float32)


# --- the whole, once ----------------------------------------------------------------------------------------------


def test_each_packet_is_counted_with_its_stamp_and_its_first_samples(tmp_path: Path) -> None:
    found = counted(written(tmp_path, encoded(50)))
    assert (found.rate, found.channels, found.samples, found.trouble) == (RATE, 1, 50 * BLOCK, None)
    assert found.packet_ticks == [10 * k for k in range(50)] and not found.changes_channels
    assert found.seconds == pytest.approx([0.01 * k for k in range(50)])
    assert found.before == [BLOCK * k for k in range(50)]
    assert np.abs(np.concatenate(found.heads) - truth(50)).max() < 1e-6
    assert found.packets.samples == 50 * BLOCK and found.packets.rate == RATE
    assert found.packets.before.tolist() == found.before and found.packets.ticks.tolist() == found.seconds


def test_of_a_long_packet_the_first_512_samples_are_kept(tmp_path: Path) -> None:
    found = counted(written(tmp_path, encoded(3, block=800), 800))
    assert [len(head) for head in found.heads] == [512, 512, 512] and found.samples == 2_400
    assert np.abs(found.heads[1] - truth(20)[800:1_312]).max() < 1e-6


WORDS = "the sound cannot be decoded (Invalid data found when processing input)"


@pytest.mark.parametrize(
    ("count", "bad", "seconds"),
    [
        (40, range(8), None),
        (40, range(9), 0.0),
        (40, range(32, 40), None),
        (40, range(31, 40), 0.31),
        (40, [0, 1, 2, 3, 35, 36, 37, 38, 39], 0.0),
        (40, [20], 0.2),
        (40, [20, 25], 0.2),
        (40, [20, 21], 0.2),
        (40, [0, 20], 0.2),
        (40, [20, 39], 0.2),
        (110, range(100, 110), None),
        (110, range(99, 110), 0.99),
        (109, range(10), 0.0),
    ],
)
def test_only_a_few_packets_at_the_beginning_or_the_end_may_be_undecodable(
    count: int, bad: Collection[int], seconds: float | None, tmp_path: Path
) -> None:
    found = counted(broken(tmp_path, count, bad))
    assert found.samples == (count - len(bad)) * BLOCK
    assert found.trouble == (None if seconds is None else (pytest.approx(seconds), WORDS))


def test_a_rate_that_changes_is_trouble_and_channels_that_do_are_not(tmp_path: Path) -> None:
    slower = encoded(20) + encoded(5, 8_000)
    words = "the sound changes from 16000 to 8000 samples a second"
    assert counted(written(tmp_path, slower)).trouble == (pytest.approx(0.2), words)
    assert counted(written(tmp_path, slower + encoded(5, 48_000))).trouble == (pytest.approx(0.2), words)
    slower[10] = bytes(40)
    assert counted(written(tmp_path, slower)).trouble == (pytest.approx(0.1), WORDS), "the first trouble"
    found = counted(written(tmp_path, encoded(20) + encoded(20, channels=2) + encoded(5)))
    assert (found.trouble, found.changes_channels, found.channels) == (None, True, 1)
    assert found.samples == 45 * BLOCK


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
def test_the_first_sample_that_is_not_finite_is_trouble_at_its_own_time(kind: str, tmp_path: Path) -> None:
    samples = tone(np.arange(RATE) / RATE).astype(kind)
    assert counted(wav(tmp_path / "good.wav", samples)).trouble is None
    samples[[9_000, 9_010, 12_000]] = np.nan, np.inf, np.inf
    assert counted(wav(tmp_path / "bad.wav", samples)).trouble == (pytest.approx(9_000 / RATE), "not a number")


def test_what_has_no_stamp_has_no_time() -> None:
    packet: Any = av.Packet(b"sound")
    assert math.isnan(counted_sound._seconds(packet))
    packet.pts = 5
    assert math.isnan(counted_sound._seconds(packet)), "of what, nobody says"
    packet.time_base = Fraction(1, 4)
    assert counted_sound._seconds(packet) == 1.25


# --- a stretch of it ----------------------------------------------------------------------------------------------


def read(runs: list[tuple[float, int, int, float]], start: float, count: int, monkeypatch: Any) -> list[int]:
    """What is read where each sample is its own number, at 1,000 a second; 0 is silence."""

    def numbers(file: OpenFile, clock: Clock, first: int, last: int) -> NDArray[np.float32]:
        assert first == min(asked) and last == max(asked) + 1, "no more than is needed"
        return np.arange(first, last, dtype=np.float32)

    clock = Clock(audio_stream=0, audio_rate=1_000, audio_end_seconds=99.0, audio_runs=runs)
    asked = list(range(1, 10_000))
    monkeypatch.setattr(counted_sound, "_samples", lambda file, clock, first, last: np.arange(first, last))
    found = read_counted(OpenFile("x", Deadline("x")), clock, start, count)
    assert found.dtype == np.float32 and found.shape == (count,)
    asked = [int(number) for number in found if number]
    monkeypatch.setattr(counted_sound, "_samples", numbers)
    assert not asked or np.array_equal(read_counted(OpenFile("x", Deadline("x")), clock, start, count), found)
    return found.astype(int).tolist()


TWO = [(1.0, 100, 500, 0.0), (2.0, 600, 500, 0.0)]


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (1.2, 100, range(300, 400)),
        (1.2004, 3, [300, 301, 302]),
        (1.2006, 3, [301, 302, 303]),
        (0.997, 6, [0, 0, 0, 100, 101, 102]),
        (1.497, 6, [597, 598, 599, 0, 0, 0]),
        (1.499, 503, [599, *[0] * 500, 600, 601]),
        (2.498, 4, [1098, 1099, 0, 0]),
        (1.0, 500, range(100, 600)),
        (0.5, 500, [0] * 500),
        (1.5, 500, [0] * 500),
        (7.0, 3, [0] * 3),
    ],
)
def test_samples_lie_where_their_run_does_and_between_runs_is_silence(
    start: float, count: int, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(TWO, start, count, monkeypatch) == list(expected)


def test_where_runs_overlap_the_later_one_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read([(1.0, 100, 500, 0.0), (1.4, 600, 500, 0.0)], 1.397, 6, monkeypatch)
    assert found == [497, 498, 499, 600, 601, 602]


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (6.0, 100, range(5_050, 5_150)),  # sample 5000 after the first lies at 1.0 + 5.05 s
        (11.0, 200, [*range(10_000, 10_100), *[0] * 100]),  # its end lies at 11.1 s
        (0.9, 200, [*[0] * 100, *range(100, 200)]),
    ],
)
def test_a_stretched_run_is_right_in_the_middle_of_what_is_read(
    start: float, count: int, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read([(1.0, 100, 10_000, 0.01)], start, count, monkeypatch) == list(expected)


# --- from the nearest known place ---------------------------------------------------------------------------------

CLOCK = Clock(
    audio_stream=0,
    audio_rate=RATE,
    audio_end_seconds=60.0,
    audio_anchors=[(1_000 * k, RATE * k) for k in range(4)],
    audio_warm_up_seconds=0.25,
)


def from_anchor(path: str, clock: Clock, anchor: int | None, first: int, count: int) -> NDArray[np.float32] | None:
    with closing(OpenFile(path, Deadline(path))) as file:
        return counted_sound._from_anchor(file, clock, anchor, first, count)


def attempts(clock: Clock, first: int, monkeypatch: Any, outcomes: dict[int | None, Any]) -> list[int | None]:
    """From where it is tried to read, where these attempts come to this, and others to nothing."""
    tried: list[int | None] = []

    def attempt(file: OpenFile, clock: Clock, anchor: int | None, first: int, count: int) -> Any:
        tried.append(anchor)
        outcome = outcomes.get(anchor)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(counted_sound, "_from_anchor", attempt)
    file = OpenFile("x.mka", Deadline("x.mka"))
    assert counted_sound._samples(file, clock, first, first + 5) is outcomes[tried[-1]]
    return tried


def test_reading_begins_at_the_nearest_anchor_then_ever_earlier_and_at_last_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = replace(CLOCK, audio_anchors=[(1_000 * k, RATE * k) for k in range(30)])
    found = np.ones(5)
    start: dict[int | None, Any] = {None: found}
    assert attempts(clock, 20 * RATE + 5, monkeypatch, start) == [20, 18, 13, 5, None]
    assert attempts(clock, 20 * RATE, monkeypatch, start) == [20, 18, 13, 5, None]
    assert attempts(clock, 20 * RATE - 1, monkeypatch, start) == [19, 17, 12, 4, None]
    assert attempts(clock, 3 * RATE, monkeypatch, start) == [3, 1, None], "the first is the start itself"
    assert attempts(clock, 5, monkeypatch, start) == [None]
    assert attempts(replace(clock, audio_seekable=False), 20 * RATE, monkeypatch, start) == [None]
    assert attempts(clock, 20 * RATE, monkeypatch, {20: found}) == [20]
    assert attempts(clock, 20 * RATE, monkeypatch, {20: OSError(5, "gone"), 18: found}) == [20, 18]
    with pytest.raises(OSError, match="gone"):
        attempts(clock, 20 * RATE, monkeypatch, {None: OSError(5, "gone")})
    with pytest.raises(MediaError, match=r"x\.mka: the sound there differs from what was indexed"):
        attempts(clock, 20 * RATE, monkeypatch, {})


def test_from_every_anchor_and_from_the_start_the_same_is_read(tmp_path: Path) -> None:
    path, whole = written(tmp_path, encoded(400)), truth(400)
    for anchor in (None, 1, 2, 3):
        for count in (1, BLOCK, 2_000):
            first = 3 * RATE + 777
            found = from_anchor(path, CLOCK, anchor, first, count)
            assert found is not None and np.abs(found - whole[first : first + count]).max() < 1e-6
    found = from_anchor(path, CLOCK, 2, 2 * RATE, 300)
    assert found is not None and np.abs(found - whole[2 * RATE :][:300]).max() < 1e-6, "what is asked for begins there"
    assert from_anchor(path, CLOCK, 2, 2 * RATE - 1, 300) is None, "it begins before"
    assert from_anchor(path, CLOCK, None, 400 * BLOCK - 5, 5) is not None
    assert from_anchor(path, CLOCK, None, 400 * BLOCK - 5, 6) is None, "there are no more samples"


def test_an_anchor_counts_once_the_decoder_is_warm(tmp_path: Path) -> None:
    path, whole = written(tmp_path, encoded(200)), truth(200)
    for lead, is_met in ((0.1, True), (0.11, False)):  # nothing lies before the start, so a decoder is warm at ``lead``
        clock = replace(CLOCK, audio_anchors=[(0, 0), (100, 1_600)], audio_warm_up_seconds=lead)
        found = from_anchor(path, clock, 1, 1_700, 500)
        assert (found is not None) == is_met
        assert found is None or np.abs(found - whole[1_700:2_200]).max() < 1e-6


def test_an_anchor_that_is_met_at_another_count_ends_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(200))
    for stray in (-1, 1):
        clock = replace(CLOCK, audio_anchors=[(0, 0), (1_000, RATE + stray)])
        assert from_anchor(path, clock, None, RATE - 500, 600) is None
        assert from_anchor(path, clock, None, RATE - 500, 500) is not None, "not met yet"
    clock = replace(CLOCK, audio_anchors=[(0, 0), (1_005, RATE)])
    assert from_anchor(path, clock, 1, RATE, 600) is None, "no packet has this stamp"


def test_sound_that_cannot_be_decoded_near_what_is_asked_for_is_reported_with_its_time(tmp_path: Path) -> None:
    path = broken(tmp_path, 400, {150})
    clock = replace(CLOCK, origin_seconds=0.25)
    for first in (151 * BLOCK, 150 * BLOCK + RATE):
        with pytest.raises(MediaError, match=r"at 1\.250 s: the sound there cannot be decoded \(Invalid data"):
            from_anchor(path, clock, None, first, 10)
    # Further away only the count is wrong, which the next anchor shows; another begins behind the damage.
    assert from_anchor(path, clock, None, 150 * BLOCK + RATE + 1, RATE) is None
    found = from_anchor(path, clock, 3, 3 * RATE + 10, 500)
    assert found is not None and np.abs(found - truth(400)[3 * RATE + 10 :][:500]).max() < 1e-6
    assert from_anchor(broken(tmp_path, 400, {0}), clock, None, 10, 10) is not None, "before the first samples"


@pytest.mark.parametrize(("end_seconds", "is_enough"), [(0.80, True), (0.95, False)])
def test_where_a_container_cannot_be_read_on_the_sound_has_ended_if_it_is_near_its_end(
    end_seconds: float, is_enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = counted_sound.packets

    def broken_off(*where: Any) -> Iterator[Any]:
        yield from islice(packets(*where), 100)  # the last is stamped with 0.99 s
        raise av.error.InvalidDataError(1, "junk")

    path = written(tmp_path, encoded(200))
    monkeypatch.setattr(counted_sound, "packets", broken_off)
    clock = replace(CLOCK, origin_seconds=0.25, audio_end_seconds=end_seconds)
    if is_enough:
        assert from_anchor(path, clock, None, 0, RATE) is not None
        assert from_anchor(path, clock, None, 0, RATE + 1) is None
    else:
        with pytest.raises(av.error.InvalidDataError, match="junk"):
            from_anchor(path, clock, None, 0, RATE + 1)


def test_a_rate_that_was_not_indexed_is_reported_with_its_time(tmp_path: Path) -> None:
    path = written(tmp_path, encoded(20) + encoded(20, 8_000))
    with pytest.raises(MediaError, match=r"at 0\.450 s: the sound changes its sample rate"):
        from_anchor(path, replace(CLOCK, origin_seconds=-0.25), None, 25 * BLOCK, 10)


def test_an_anchor_holds_where_reading_from_it_gives_the_same_samples(tmp_path: Path) -> None:
    path, whole = written(tmp_path, encoded(300)), truth(300)

    def holds(
        expected: NDArray[np.float32], clock: Clock = CLOCK, path: str = path, noisy: bool = False
    ) -> bool | None:
        return anchor_holds(path, clock, 2, expected, Deadline(path), noisy=noisy)

    there = whole[2 * RATE :][:512]
    assert holds(there) is True
    assert holds(there + np.float32(0.9e-4)) is True and holds(there - np.float32(1.2e-4)) is False
    assert holds(there + np.float32(0.5), noisy=True) is True, "a decoder that adds noise"
    assert holds(there, replace(CLOCK, audio_anchors=[(0, 0), (1_000, RATE), (2_005, 2 * RATE)])) is None
    assert holds(there, path=str(tmp_path / "gone.mka")) is False
    assert holds(there, path=broken(tmp_path, 300, {201})) is False
