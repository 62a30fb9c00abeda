"""Files stay open between reads and decoders pass over what is not needed; what is read is as if neither were so."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media.made import Recipe, draw, inspected, iter_frames, make, number_in
from media.test_damaged_pictures import packet_at, with_bytes
from media.test_exact import hidden_first_pictures
from numpy.typing import NDArray

import avssl
from avssl.errors import MediaError
from avssl.media.containers.h26x import Bits
from avssl.media.containers.references import References
from avssl.media.decoding import kept_files, open_files
from avssl.media.decoding.clock import Clock
from avssl.media.decoding.kept_files import close_files
from avssl.media.decoding.sound import read_audio
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import inspect

X264 = "keyint=30:min-keyint=1:scenecut=0:b-adapt=0:bframes=3:threads=1"
X265 = "keyint=30:min-keyint=1:scenecut=0:b-adapt=0:bframes=4:log-level=none:pools=none"


@pytest.fixture(autouse=True)
def _nothing_is_open() -> Iterator[None]:
    close_files()
    yield
    close_files()


def film(folder: Path, name: str, codec: str, options: dict[str, str], frames: int = 75) -> str:
    """Numbered pictures, coded as these options of the encoder say."""
    path = str(folder / name)
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number, 64, 64), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def passed_over(path: str) -> float:
    """The share of packets that need not be decoded for others."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        references = References(stream)
        found = [references.is_free(packet) for packet in container.demux(stream) if packet.size]
    return sum(found) / len(found)


def assert_any_order_gives_the_same(path: str, clock: Clock, seed: int = 0) -> None:
    """Frames alone and by threes, in random order, each as decoding all frames from the start shows it."""
    truth = np.stack([picture for _, picture in iter_frames(path, clock)])
    assert len(truth) == len(clock.frame_times)
    dice = random.Random(seed)
    asked = [[n] for n in range(len(truth))] + [dice.sample(range(len(truth)), 3) for _ in range(20)]
    dice.shuffle(asked)
    for numbers in asked:
        found = read_frames(path, clock, [float(clock.frame_times[n]) for n in numbers])
        assert np.array_equal(found, truth[numbers]), numbers


# --- exactness ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "options", "least"),
    [
        ("pyramid.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:b-pyramid=normal"}, 0.3),
        ("flat.mkv", "libx264", {"preset": "fast", "x264-params": f"{X264}:b-pyramid=none"}, 0.5),
        ("open.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:open-gop=1"}, 0.3),
        ("open.flv", "libx264", {"preset": "fast", "x264-params": f"{X264}:open-gop=1"}, 0.3),
        ("open.ts", "libx264", {"preset": "fast", "x264-params": f"{X264}:open-gop=1"}, 0.0),
        ("rasl.mp4", "libx265", {"preset": "fast", "x265-params": f"{X265}:open-gop=1"}, 0.3),
        ("rasl.mkv", "libx265", {"preset": "fast", "x265-params": f"{X265}:open-gop=1:b-pyramid=0"}, 0.3),
        ("two.mpg", "mpeg2video", {"bf": "2", "g": "15", "sc_threshold": "1000000000"}, 0.5),
        ("two.ts", "mpeg2video", {"bf": "2", "g": "15", "sc_threshold": "1000000000"}, 0.5),
        ("one.mkv", "mpeg1video", {"bf": "2", "g": "15", "sc_threshold": "1000000000"}, 0.5),
        ("four.mp4", "mpeg4", {"bf": "2", "g": "15", "sc_threshold": "1000000000"}, 0.5),
        ("hidden.webm", "libvpx-vp9", {"cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1", "g": "30"}, 0.0),
        ("hidden.mkv", "libvpx", {"cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1", "g": "30"}, 0.0),
        ("layers.mp4", "libsvtav1", {"preset": "12", "g": "30", "svtav1-params": "lp=1"}, 0.0),
        ("layers.mkv", "libsvtav1", {"preset": "12", "g": "30", "svtav1-params": "lp=1"}, 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_order_shows_what_decoding_from_the_start_shows(
    name: str, codec: str, options: dict[str, str], least: float, tmp_path: Path
) -> None:
    path = film(tmp_path, name, codec, options)
    assert passed_over(path) >= least
    assert_any_order_gives_the_same(path, inspected(path).clock)


def without_usability_information(path: str) -> str:
    """A copy whose header does not say how late pictures come out of the decoder: its H.264 parameters end before."""
    with av.open(path) as container:
        record = container.streams.video[0].codec_context.extradata or b""
    parameters = record[8 : 8 + int.from_bytes(record[6:8], "big")]
    bits = Bits(parameters[4:])
    for _ in range(4):
        bits.exp_golomb()
    bits.take(2)  # bit by bit lossless, scaling matrices
    bits.exp_golomb()
    if bits.exp_golomb() == 0:
        bits.exp_golomb()  # how many bits the order of pictures takes
    bits.exp_golomb(), bits.take(1), bits.exp_golomb(), bits.exp_golomb()  # references, gaps, width, height
    bits.take(3)  # whole frames, direct inference, cropping
    left = bits._count
    cut = (int.from_bytes(parameters, "big") >> left << left) | 1 << (left - 2)
    place = Path(path).read_bytes().index(parameters)
    return with_bytes(path, place, cut.to_bytes(len(parameters), "big"), "bare")


@pytest.mark.parametrize("layers", ["b-pyramid=none", "b-pyramid=normal:bframes=7:ref=4", "bframes=0"])
def test_the_header_need_not_say_how_late_pictures_come_out(layers: str, tmp_path: Path) -> None:
    path = film(tmp_path, "late.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:{layers}"})
    bare = without_usability_information(path)
    clock = inspected(bare).clock
    assert_any_order_gives_the_same(bare, clock)
    truth = [picture for _, picture in iter_frames(bare, clock)]
    for number in (60, 2, 33):  # each with a file just opened
        close_files()
        assert np.array_equal(read_frames(bare, clock, [number / 25])[0], truth[number])


def test_a_file_is_not_probed_where_no_sound_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, Recipe("mp4"))
    clock = inspected(path).clock
    close_files()
    found: list[bool] = []
    real = open_files.open_container

    def opening(*arguments: Any, probe: bool = True) -> Any:
        found.append(probe)
        return real(*arguments, probe=probe)

    monkeypatch.setattr(open_files, "open_container", opening)
    picture = read_frames(path, clock, [0.4])
    assert found == [False]
    sound = read_audio(path, clock, 0.1, 0.3, 16_000)
    assert found == [False, True]
    close_files()
    assert np.array_equal(read_audio(path, clock, 0.1, 0.3, 16_000), sound)
    assert np.array_equal(read_frames(path, clock, [0.4]), picture)
    assert found == [False, True, True], "pictures and sound share the container that sound has opened"


@pytest.mark.parametrize("hidden", [7, 20, 23])
def test_edit_lists_hide_the_same_pictures_in_any_order(hidden: int, tmp_path: Path) -> None:
    path = hidden_first_pictures(tmp_path, hidden)
    assert_any_order_gives_the_same(path, inspected(path).clock)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        # Of two fields of a frame one may serve others, and of a picture in a lower layer those above it.
        ("fields.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:interlaced=1"}),
        ("layers.mp4", "libx265", {"preset": "fast", "x265-params": f"{X265}:temporal-layers=3"}),
    ],
)
def test_where_the_marks_leave_a_doubt_nothing_is_passed_over(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = film(tmp_path, name, codec, options, frames=40)
    assert passed_over(path) == 0
    assert_any_order_gives_the_same(path, inspected(path).clock)


def test_on_the_way_to_a_frame_only_those_are_decoded_that_it_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path, "flat.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:b-pyramid=none"})
    clock, fed = inspected(path).clock, []
    monkeypatch.setattr(
        "avssl.media.decoding.trusted_frames._frames", lambda packet: fed.append(packet.pts) or packet.decode()
    )
    read_frames(path, clock, [27 / 25])
    assert len(fed) < 16, "a quarter of 27, the frame itself and what pushes it out"
    before = len(fed)
    read_frames(path, clock, [29 / 25])
    assert len(fed) - before <= 4, "it goes on from there"
    read_frames(path, clock, [28 / 25])
    assert len(fed) - before > 8, "what lies behind is decoded anew"


def noisy(path: str, rate: int = 22_050) -> None:
    """Sound of which an encoder leaves the noise to the decoder, under numbered pictures."""
    make(Path(path).parent, Recipe("mp4", frames=100, group=25), "numbers")
    dice = np.random.default_rng(3)
    with av.open(str(Path(path).parent / "numbers.mp4")) as old, av.open(path, "w") as new:
        pictures = new.add_stream_from_template(old.streams.video[0])
        sound: Any = new.add_stream("aac", rate=rate, layout="mono", options={"aac_pns": "1"})
        sound.codec_context.bit_rate = 24_000
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = pictures
                new.mux(packet)
        for start in range(0, 4 * rate, 1024):
            samples = (0.2 * dice.standard_normal(1024)).clip(-1, 1).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            new.mux(sound.encode(frame))
        new.mux(sound.encode(None))


def stretches_of(path: str, clock: Clock, starts: list[float]) -> list[NDArray[np.float32]]:
    return [read_audio(path, clock, start, 0.4, 16_000) for start in starts]


def test_sound_with_noise_of_the_decoder_is_the_same_whatever_was_read_before(tmp_path: Path) -> None:
    path = str(tmp_path / "noisy.mp4")
    noisy(path)
    clock, starts = inspected(path).clock, [0.1, 1.2, 1.9, 2.6, 3.3]
    alone = []
    for start in starts:
        close_files()
        alone += stretches_of(path, clock, [start])
    dice = random.Random(1)
    for _ in range(6):
        order = dice.sample(range(len(starts)), len(starts))
        for k in order:
            if dice.random() < 0.5:
                read_frames(path, clock, [dice.uniform(0, 4)])
            assert np.array_equal(stretches_of(path, clock, [starts[k]])[0], alone[k])


@pytest.mark.parametrize(
    ("suffix", "video", "sound"),
    [
        ("mp4", "libx264", "mp3"),
        ("mp4", "libx264", "libopus"),
        ("mp4", "libx264", "flac"),
        ("mp4", "libx264", "alac"),
        ("mov", "libx264", "pcm_s16le"),
        ("webm", "libvpx", "libopus"),
        ("mkv", "libx264", "ac3"),
        ("ts", "libx264", "mp2"),
        ("ogv", "libvpx", "libopus"),
        ("avi", "libx264", "mp3"),
    ],
)
def test_sound_is_the_same_from_files_kept_open_and_opened_anew(
    suffix: str, video: str, sound: str, tmp_path: Path
) -> None:
    recipe = Recipe(suffix, video=video, sound=sound, frames=100, group=25, sound_seconds=4, sound_rate=48_000)
    path = make(tmp_path, recipe)
    clock, starts = inspected(path).clock, [3.7, 0.0, 2.2, 1.0, 3.3, 1.7, 0.4]
    alone = []
    for start in starts:
        close_files()
        alone += stretches_of(path, clock, [start])
    for start, expected in zip(starts, alone, strict=True):
        read_frames(path, clock, [start / 2, start])
        assert np.array_equal(stretches_of(path, clock, [start])[0], expected)
    assert all(map(np.array_equal, stretches_of(path, clock, starts), alone))


# --- how many, and how long -----------------------------------------------------------------------------------


def open_descriptors(folder: Path) -> int:
    """How many of this process's descriptors lie in a folder."""
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(entry.readlink()))
        except OSError:  # the listing's own
            continue
    return sum(name.startswith(str(folder)) for name in names)


def test_a_hundred_files_are_read_with_a_few_of_them_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "MOST_FILES", 3)
    first = make(tmp_path, Recipe("mp4", b_frames=2, sound_seconds=2.0))
    clock = inspected(first).clock
    paths = [first] + [shutil.copy(first, tmp_path / f"{n}.mp4") for n in range(99)]
    dice, most = random.Random(2), 0
    for path in dice.choices(paths[:5], k=30) + dice.sample(paths, 100):
        number = dice.randrange(40)
        assert number_in(read_frames(path, clock, [number / 25])[0]) == number
        read_audio(path, clock, 1.0, 0.2, 16_000)
        most = max(most, open_descriptors(tmp_path))
    assert 3 < most <= 2 * 3


def test_large_pictures_leave_room_for_fewer_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make(tmp_path, Recipe("mp4", sound=None), str(n)) for n in range(4)]
    clock = inspected(paths[0]).clock
    monkeypatch.setattr(kept_files, "MOST_BYTES", 2 * (64 * 48 * 3 * 8 + 40 * 40))
    for path in paths:
        read_frames(path, clock, [0.4])
    assert open_descriptors(tmp_path) == 2


def test_a_kept_file_is_given_up_when_it_hangs_and_is_right_afterwards(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", frames=80, group=80, sound=None))
    clock = inspected(path).clock
    assert number_in(read_frames(path, clock, [0.4])[0]) == 10
    with pytest.raises(MediaError, match="took longer than"):
        read_frames(path, clock, [3.0], timeout_seconds=-1.0)
    assert open_descriptors(tmp_path) == 0
    assert [number_in(read_frames(path, clock, [t])[0]) for t in (0.4, 3.0)] == [10, 75]


# --- files that change ----------------------------------------------------------------------------------------


def later(number: int, width: int, height: int) -> NDArray[np.uint8]:
    return draw(number + 50, width, height)


def test_a_file_that_is_replaced_while_it_is_open_is_opened_anew(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", b_frames=2), "film")
    clock = inspected(path).clock
    assert number_in(read_frames(path, clock, [0.4])[0]) == 10
    read_audio(path, clock, 1.2, 0.1, 16_000)
    Path(make(tmp_path, Recipe("mp4", b_frames=2, picture=later), "other")).replace(path)
    assert number_in(read_frames(path, clock, [0.44])[0]) == 61


@pytest.mark.parametrize("change", ["truncated", "removed", "replaced"])
def test_a_collection_notices_what_happened_to_a_file_that_it_has_open(change: str, tmp_path: Path) -> None:
    path = Path(make(tmp_path, Recipe("mp4", b_frames=2, sound_seconds=1.6), "film"))
    media = avssl.open(tmp_path, progress=False, workers=0, index=tmp_path / "index")
    assert number_in(media.frames(0, [0.4])[0]) == 10
    media.audio(0, 1.2, 0.1, 16_000)
    if change == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "removed":
        path.unlink()
    else:
        Path(make(tmp_path, Recipe("mp4", b_frames=2, picture=later, frames=41), "other")).replace(path)
    for read in (lambda: media.frames(0, [0.44]), lambda: media.audio(0, 1.2, 0.1, 16_000)):
        with pytest.raises(MediaError, match="No such file" if change == "removed" else "has changed"):
            read()


# --- processes and threads ------------------------------------------------------------------------------------


def test_a_child_reads_on_its_own_and_leaves_its_parent_where_it_stood(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", frames=100, group=100, b_frames=2, sound_seconds=4))
    clock = inspected(path).clock
    assert number_in(read_frames(path, clock, [0.4])[0]) == 10
    child = os.fork()
    if child == 0:
        alone = open_descriptors(tmp_path) == 0
        numbers = [number_in(read_frames(path, clock, [t])[0]) for t in (3.6, 0.2, 1.6)]
        os._exit(0 if alone and numbers == [90, 5, 40] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [number_in(read_frames(path, clock, [t])[0]) for t in (0.8, 2.0, 0.04)] == [20, 50, 1]


def test_a_collection_with_open_files_can_be_pickled(tmp_path: Path) -> None:
    make(tmp_path, Recipe("mp4"), "film")
    media = avssl.open(tmp_path, progress=False, workers=0, index=tmp_path / "index")
    frame = media.frames(0, [0.4])
    other = pickle.loads(pickle.dumps(media))
    assert np.array_equal(other.frames(0, [0.4]), frame)


def test_threads_that_read_one_file_at_once_each_get_their_frames(tmp_path: Path) -> None:
    path = make(tmp_path, Recipe("mp4", frames=100, group=50, b_frames=2))
    clock, wrong = inspected(path).clock, []

    def read(seed: int) -> None:
        dice = random.Random(seed)
        for number in dice.sample(range(100), 25):
            if number_in(read_frames(path, clock, [number / 25])[0]) != number:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert open_descriptors(tmp_path) <= 2, "one for each group"


def test_a_small_collection_stands_open_in_each_of_its_groups_and_a_large_one_in_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_files, "MOST_FILES", 6)
    paths = [make(tmp_path, Recipe("mp4", frames=80, group=20, b_frames=2, sound=None), str(n)) for n in range(6)]
    clock = inspected(paths[0]).clock
    for time in (0.4, 2.8, 1.2, 2.0, 2.2, 0.1, 3.0):
        read_frames(paths[0], clock, [time])
    assert open_descriptors(tmp_path) == 4
    for time in (0.4, 2.8, 1.2):
        for path in paths:
            assert number_in(read_frames(path, clock, [time])[0]) == round(25 * time)
    assert open_descriptors(tmp_path) == 6


# --- damage ---------------------------------------------------------------------------------------------------


def with_packet_damaged(path: str, number: int) -> str:
    """A copy in which the slice of a packet, in the order of the file, is of another picture's bytes."""
    place, data = packet_at(path, number)
    return with_bytes(path, place + 12, bytes(len(data) - 12), f"bad{number}")


def test_damage_in_a_picture_that_nothing_refers_to_is_a_reason_though_reading_may_pass_over_it(tmp_path: Path) -> None:
    options = {"preset": "fast", "x264-params": f"{X264}:b-pyramid=none"}
    path = film(tmp_path, "flat.mp4", "libx264", options, frames=60)
    clock = inspected(path).clock
    truth = [picture for _, picture in iter_frames(path, clock)]
    bad = with_packet_damaged(path, 3)  # I P B B B …: the second of three
    assert "damaged" in (inspect(bad).reason or "")
    assert np.array_equal(read_frames(bad, clock, [20 / 25])[0], truth[20])
    with pytest.raises(MediaError, match="damaged"):
        read_frames(bad, clock, [2 / 25])
    assert open_descriptors(tmp_path) == 0, "after an error nothing is kept"
    assert np.array_equal(read_frames(bad, clock, [50 / 25])[0], truth[50])


def test_damage_in_a_picture_that_others_refer_to_is_named_and_the_other_groups_are_right(tmp_path: Path) -> None:
    path = film(tmp_path, "flat.mp4", "libx264", {"preset": "fast", "x264-params": f"{X264}:b-pyramid=none"}, frames=90)
    clock = inspected(path).clock
    truth = [picture for _, picture in iter_frames(path, clock)]
    bad = with_packet_damaged(path, 5)  # the second P
    for number in (70, 20, 40, 25, 80, 3):
        if 4 < number < 30:
            with pytest.raises(MediaError, match="damaged"):
                read_frames(bad, clock, [number / 25])
        else:
            assert np.array_equal(read_frames(bad, clock, [number / 25])[0], truth[number])
