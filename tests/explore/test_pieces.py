"""Files kept within a bound, segments of items, sounds laid under them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_clip

import avssl
from avssl.errors import UserError
from avssl.explore.kept_files import KeptFiles
from avssl.explore.pictures import spectrogram
from avssl.explore.segment import OtherSound, PlayedSegment


def test_a_file_is_made_once_however_many_ask(tmp_path):
    kept, made = KeptFiles(tmp_path / "kept", 1000), []

    def make() -> bytes:
        made.append(1)
        return b"content"

    threads = [threading.Thread(target=kept.get, args=("a", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and KeptFiles(tmp_path / "kept", 1000).get("a", lambda: b"other") == b"content"


def test_what_was_not_asked_for_the_longest_goes_first(tmp_path):
    kept = KeptFiles(tmp_path, 25)
    for name in "ab":
        kept.get(name, lambda: bytes(10))
    kept.get("a", lambda: bytes(10))
    kept.get("c", lambda: bytes(10))
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c"}


def test_a_maker_that_fails_leaves_nothing(tmp_path):
    kept = KeptFiles(tmp_path, 25)
    with pytest.raises(UserError):
        kept.get("a", _fail)
    assert kept.get("a", lambda: b"now") == b"now"


def _fail() -> bytes:
    raise UserError("no")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("segment")
    write_clip(folder / "a.mp4", 1, seconds=3.0)
    return avssl.open(folder, workers=0)


def test_a_segment_has_the_frames_shown_in_it_and_the_sound_heard_in_it(media):
    segment = PlayedSegment(media, 0, 1.05, 1.0)
    assert segment.start == pytest.approx(1.05) and segment.seconds == pytest.approx(1.0)
    assert segment.times[0] == 0 and segment.times[1] == pytest.approx(0.05, abs=1e-3) and len(segment.times) == 11
    first = next(iter(segment.frames([0], (48, 48))))[1]
    assert np.array_equal(first, media.frames(0, [1.05])[0].transpose(1, 2, 0))
    assert np.array_equal(segment.sound(0.2, 0.5, 8000), media.audio(0, 1.25, 0.5, 8000))


def test_a_segment_ends_with_its_item(media):
    segment = PlayedSegment(media, 0, 2.5, 12.0)
    assert segment.start + segment.seconds == pytest.approx(3.0)
    assert PlayedSegment(media, 0, 99.0, 12.0).seconds > 0


def test_another_sound_begins_with_the_segment_and_ends_with_itself():
    other = OtherSound(np.ones(800, np.float32), 8000)
    found = other.between(-0.05, 0.2, 8000)
    assert found.tolist() == [0.0] * 400 + [1.0] * 800 + [0.0] * 400
    assert len(other.between(0.0, 0.1, 16000)) == 1600


def test_a_spectrogram_of_silence_is_black():
    import io

    from PIL import Image

    assert np.asarray(Image.open(io.BytesIO(spectrogram(np.zeros(16000, np.float32), 16000)))).max() < 10
