"""What reads a whole collection goes on without its bad files, if that is asked for."""

from __future__ import annotations

import pickle

import pytest
from toy_media import ToyVideos

from avssl.errors import MediaError
from avssl.media.skip_bad_files import FEW, PassedOver, each_bad_file_once, log_bad_file, on_readable


def reading(bad: set[str]):
    def work(media):
        for i in range(len(media)):
            if media.facts(i).path in bad:
                raise MediaError(media.facts(i).path, "truncated", 1.0)
        return len(media)

    return work


def test_bad_files_are_left_out_and_reported():
    media, found = ToyVideos(8), []
    bad = {media.facts(i).path for i in (2, 5)}
    assert on_readable(media, reading(bad), skip=True, skipped=found) == 6
    assert sorted(found) == sorted(f"skipped: {path} at 1.000 s: truncated" for path in bad)


def test_without_leave_the_first_bad_file_ends_it():
    media = ToyVideos(4)
    with pytest.raises(MediaError):
        on_readable(media, reading({media.facts(1).path}), skip=False)


def test_many_bad_files_are_no_accident():
    media = ToyVideos(3 * FEW)
    with pytest.raises(MediaError):
        on_readable(media, reading({media.facts(i).path for i in range(FEW + 1)}), skip=True)


def test_a_file_that_is_met_again_and_again_is_reported_once(caplog):
    with each_bad_file_once():
        log_bad_file("a.mp4 at 1 s: gone", "a.mp4")
        with each_bad_file_once():  # a part of the same work
            log_bad_file("a.mp4 at 2 s: gone", "a.mp4")
            log_bad_file("b.mp4: gone", "b.mp4")
    assert caplog.messages == ["a.mp4 at 1 s: gone", "b.mp4: gone"]
    log_bad_file("a.mp4 at 1 s: gone", "a.mp4")
    assert len(caplog.messages) == 3


def test_a_line_about_a_bad_file_knows_it_after_pickling():
    line = pickle.loads(pickle.dumps(PassedOver("a.mp4: gone", "a.mp4")))
    assert (line, line.path) == ("a.mp4: gone", "a.mp4")
