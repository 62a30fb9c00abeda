"""``avssl fetch`` fetches what a list names, from a server on loopback: exactly that, politely, and on again."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media.made import Recipe, inspected, iter_frames, lateness, make, number_in
from media.remote_servers import Server, serving

from avssl.cli.main import main
from avssl.errors import UserError
from avssl.experiment.fetch import Fetched, FetchOptions, fetch
from avssl.media.decoding.sound import read_audio
from avssl.media.opening import open_media

pytestmark = pytest.mark.slow

pytest.importorskip("yt_dlp")

HEAD = "label,youtube_id,time_start,time_end,split"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 8 s whose frames bear their numbers and whose sound says when it is."""
    folder = tmp_path_factory.mktemp("films")
    make(folder, Recipe("mp4", frames=200, sound_seconds=8.0, width=128, height=96), "film")
    for name in "abc":
        os.link(folder / "film.mp4", folder / f"{name * 11}.mp4")
    return folder


@pytest.fixture
def server(films: Path) -> Iterator[Server]:
    with serving(Server(films)) as found:
        yield found


def listed(folder: Path, *rows: str) -> Path:
    (folder / "list.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return folder / "list.csv"


def fetched(folder: Path, server: Server, *rows: str, **more: object) -> Fetched:
    options = {"sleep": 0.01, "retries": 3, "address": server.url + "/{id}.mp4", **more}
    return fetch(FetchOptions(list=str(listed(folder, *rows)), out=str(folder / "out"), **options), False)  # type: ignore[arg-type]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


A, B, C = ("bowling," + name * 11 + ",3,5,train" for name in "abc")


def test_a_clip_has_the_seconds_that_were_named_at_the_frame_and_the_sample(tmp_path: Path, server: Server) -> None:
    done = fetched(tmp_path, server, A)
    path = str(tmp_path / "out/clips/aaaaaaaaaaa_000003.mp4")
    found = inspected(path)
    assert [number_in(picture) for _, picture in iter_frames(path, found.clock)] == list(range(75, 125))
    heard = read_audio(path, found.clock, 0.1, 1.8, found.audio_rate)
    assert abs(lateness(heard, 3.1, found.audio_rate)) < 0.001
    assert (done.new, done.there, done.clips) == (1, 1, 1)


def test_the_table_is_data_with_labels_splits_and_sources(tmp_path: Path, server: Server) -> None:
    done = fetched(tmp_path, server, A, "singing,aaaaaaaaaaa,0,2,test", "singing,bbbbbbbbbbb,0,2,test")
    media = open_media(str(done.table), index=str(tmp_path / "index"))
    facts = [media.facts(i) for i in range(len(media))]
    assert sorted((each.label, each.split, each.source) for each in facts) == [
        ("bowling", "train", "aaaaaaaaaaa"), ("singing", "test", "aaaaaaaaaaa"), ("singing", "test", "bbbbbbbbbbb"),
    ]  # fmt: skip
    assert all(each.duration_seconds == pytest.approx(2.0, abs=0.05) for each in facts)


def test_a_clip_is_not_larger_than_asked_and_never_made_larger(tmp_path: Path, server: Server) -> None:
    fetched(tmp_path, server, A, size=48)
    fetched(tmp_path, server, A, B, size=480)
    sizes = [inspected(str(path)).clock for path in sorted((tmp_path / "out/clips").glob("*.mp4"))]
    assert [(each.width, each.height) for each in sizes] == [(64, 48), (128, 96)]


def test_only_about_the_bytes_of_these_seconds_are_asked_for(tmp_path: Path) -> None:
    def noise(number: int, width: int, height: int) -> np.ndarray:
        return np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)

    make(tmp_path, Recipe("mp4", frames=200, sound_seconds=8.0, width=320, height=240, picture=noise), "ddddddddddd")
    whole = (tmp_path / "ddddddddddd.mp4").stat().st_size
    assert whole > 8_000_000
    with serving(Server(tmp_path)) as server:
        # Else the system takes megabytes that nobody has asked for yet, and they count as sent.
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        fetched(tmp_path, server, "x,ddddddddddd,6,6.4,train")
        assert server.sent["ddddddddddd.mp4"] < whole / 2


def test_a_server_that_gives_no_pieces_is_read_from_the_beginning(tmp_path: Path, server: Server) -> None:
    server.ranges = False
    film = tmp_path / "films"
    film.mkdir()
    make(film, Recipe("mp4", frames=200, sound_seconds=8.0, options={"movflags": "faststart"}), "aaaaaaaaaaa")
    server.folder = film
    fetched(tmp_path, server, A)
    path = str(tmp_path / "out/clips/aaaaaaaaaaa_000003.mp4")
    assert [number_in(picture) for _, picture in iter_frames(path, inspected(path).clock)] == list(range(75, 125))


def test_dead_links_are_listed_with_their_reasons_and_counted(tmp_path: Path, server: Server) -> None:
    server.always = [("forbidden", "bbb")]
    done = fetched(tmp_path, server, A, B, "x,nowherefilm,0,2,", "x,ccccccccccc,60,70,")
    assert done.dead == {"private": 1, "gone": 2}
    assert {(row["id"], row["start"], row["kind"]) for row in rows_of(tmp_path / "out/dead.csv")} == {
        ("bbbbbbbbbbb", "3", "private"), ("nowherefilm", "0", "gone"), ("ccccccccccc", "60", "gone"),
    }  # fmt: skip
    assert any("8 s long" in row["reason"] for row in rows_of(tmp_path / "out/dead.csv"))
    assert any("404" in row["reason"] for row in rows_of(tmp_path / "out/dead.csv"))


def test_the_dead_are_asked_again_only_when_told(tmp_path: Path, server: Server) -> None:
    server.always = [("forbidden", "bbb")]
    fetched(tmp_path, server, A, B)
    server.always.clear()
    server.asked.clear()
    fetched(tmp_path, server, A, B)
    assert server.asked.total() == 0
    done = fetched(tmp_path, server, A, B, again=True)
    assert (done.new, done.there, done.dead) == (1, 2, {})
    assert rows_of(tmp_path / "out/dead.csv") == []


def test_a_host_that_asks_for_patience_gets_it(tmp_path: Path, server: Server) -> None:
    server.faults = [("busy", "aaa"), ("busy", "aaa")]
    began = time.monotonic()
    assert fetched(tmp_path, server, A, sleep=0.2).new == 1
    assert time.monotonic() - began > 0.4 + 0.8  # the pause doubles with each refusal


def test_a_host_that_says_how_long_it_wants_to_be_left_alone_is(tmp_path: Path, server: Server) -> None:
    server.faults = [("later", "aaa")]
    began = time.monotonic()
    assert fetched(tmp_path, server, A, sleep=0.01).new == 1
    assert time.monotonic() - began > 2


def test_a_host_that_wants_to_be_left_alone_until_tomorrow_ends_it(tmp_path: Path, server: Server) -> None:
    server.always = [("tomorrow", "aaa")]
    with pytest.raises(UserError, match=r"wants to be asked again in 24 h 0 min .*run the same command again then"):
        fetched(tmp_path, server, A)
    assert server.asked.total() <= 2 and rows_of(tmp_path / "out/dead.csv") == []


def test_of_a_video_in_pieces_those_of_the_seconds_are_fetched(tmp_path: Path) -> None:
    """DASH: a manifest, a beginning, and pieces of a second each of pictures and of sound."""
    folder = tmp_path / "films"
    folder.mkdir()
    recipe = Recipe("mpd", frames=200, sound_seconds=8.0, width=128, height=96, group=25, format="dash",
                    options={"seg_duration": "1", "use_template": "1", "use_timeline": "1"})  # fmt: skip
    make(folder, recipe, "aaaaaaaaaaa")
    with serving(Server(folder)) as server:
        done = fetched(tmp_path, server, A, address=server.url + "/{id}.mpd")
        path = str(tmp_path / "out/clips/aaaaaaaaaaa_000003.mp4")
        found = inspected(path)
        assert [number_in(picture) for _, picture in iter_frames(path, found.clock)] == list(range(75, 125))
        heard = read_audio(path, found.clock, 0.1, 1.8, found.audio_rate)
        assert abs(lateness(heard, 3.1, found.audio_rate)) < 0.001
        asked = sorted(name for name in server.asked if name.startswith("chunk-stream0"))
        assert done.new == 1 and 3 <= len(asked) <= 5, asked
        server.always = [("cut", "chunk-stream0-00004")]
        with pytest.raises(UserError, match="more expected"):
            fetched(tmp_path, server, "x,aaaaaaaaaaa,1,5,", address=server.url + "/{id}.mpd", retries=0)


def test_starts_at_one_host_keep_their_distance(tmp_path: Path, server: Server) -> None:
    began = time.monotonic()
    fetched(tmp_path, server, A, B, C, sleep=0.6, parallel=3)
    assert time.monotonic() - began > 2 * 0.3


def test_a_slow_answer_is_waited_for(tmp_path: Path, server: Server) -> None:
    server.always = [("slow", "aaa")]
    assert fetched(tmp_path, server, A).new == 1


def test_a_host_that_refuses_everything_is_left_in_peace(tmp_path: Path, server: Server) -> None:
    server.always = [("busy", ".mp4")]
    with pytest.raises(UserError, match=r"^127\.0\.0\.1:\d+ refuses everything .*run the same command again"):
        fetched(tmp_path, server, *(f"x,film{number:07d},0,2," for number in range(50)), sleep=0.001)
    assert server.asked.total() < 15
    assert rows_of(tmp_path / "out/dead.csv") == []


def test_a_host_that_forbids_everything_has_killed_nothing(tmp_path: Path, server: Server) -> None:
    rows = [f"x,film{number:07d},0,2," for number in range(30)]
    server.always = [("forbidden", "film")]
    with pytest.raises(UserError, match="refuses everything"):
        fetched(tmp_path, server, *rows)
    assert rows_of(tmp_path / "out/dead.csv") == []


def test_what_was_cut_is_never_there_and_is_fetched_the_next_time(tmp_path: Path, server: Server) -> None:
    server.always = [("cut", "bbb")]
    with pytest.raises(UserError, match=r"1 clip failed .*run the same command again"):
        fetched(tmp_path, server, A, B, retries=1)
    assert [path.name for path in (tmp_path / "out/clips").iterdir()] == ["aaaaaaaaaaa_000003.mp4"]
    server.always.clear()
    assert fetched(tmp_path, server, A, B).there == 2


def test_the_seconds_the_number_and_the_labels_may_be_chosen(tmp_path: Path, server: Server) -> None:
    done = fetched(tmp_path, server, "x,aaaaaaaaaaa,1,3,", B, C, labels=("bowling",), limit=1, seconds=0.4)
    (path,) = (tmp_path / "out/clips").iterdir()
    assert (done.clips, path.name) == (1, "bbbbbbbbbbb_000003.mp4")
    assert len(inspected(str(path)).clock.frame_times) == 10


def command(folder: Path, server: Server, *more: str) -> list[str]:
    address = server.url + "/{id}.mp4"
    return ["fetch", str(folder / "list.csv"), str(folder / "out"), "--address", address, "--sleep", "0.01", *more]


def started(folder: Path, server: Server) -> subprocess.Popen[str]:
    """The command on three clips of which one answers slowly, once the first is there."""
    listed(folder, A, B, C)
    server.always = [("slow", "ccc")]
    process = subprocess.Popen(
        [sys.executable, "-m", "avssl", *command(folder, server, "--parallel", "1", "--sleep", "1")],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # Of a shell that runs the tests in the background it would inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here yet
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list((folder / "out/clips").glob("[!.]*.mp4")):
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def test_killed_it_goes_on_where_it_was(tmp_path: Path, server: Server) -> None:
    process = started(tmp_path, server)
    process.kill()
    process.communicate()
    with (tmp_path / "out/fetched.jsonl").open("a") as file:
        file.write('{"clip": "aaaa')  # as a kill in the middle of a line leaves it
    (tmp_path / "out/clips/.left.mp4.12345678.unfinished").write_bytes(b"half")
    server.asked.clear()
    assert main(command(tmp_path, server)) == 0
    assert server.asked["aaaaaaaaaaa.mp4"] == 0
    names = [path.name for path in (tmp_path / "out/clips").iterdir()]
    assert sorted(names) == [f"{name * 11}_000003.mp4" for name in "abc"]


def test_ctrl_c_ends_it_with_a_table_of_what_is_there(tmp_path: Path, server: Server) -> None:
    process = started(tmp_path, server)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.strip().splitlines()[-1]) == (130, "avssl: interrupted")
    assert rows_of(tmp_path / "out/clips.csv")[0]["path"] == "clips/aaaaaaaaaaa_000003.mp4"


def test_its_status_and_its_counts_are_for_scripts(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(tmp_path, A, "x,nowherefilm,0,2,")
    assert main(command(tmp_path, server, "--json", str(tmp_path / "counts.json"))) == 0
    assert "1 of 2 clips there (1 new, " in capsys.readouterr().out
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["there"], counts["dead"], counts["failed"]) == (1, {"gone": 1}, {})
    listed(tmp_path, "x,nowherefilm,0,2,")
    assert main(command(tmp_path, server)) == 2
    assert "avssl: none of 1 clip could be fetched (nowherefilm" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "line"),
    [(("--address", "http://h/"), "give an address with {id} in it"), (("--cookies", "none.txt"), "no such file")],
)
def test_what_cannot_be_meant_is_said(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], line: str
) -> None:
    listed(tmp_path, A)
    assert main([*command(tmp_path, server), *more]) == 2
    assert line in capsys.readouterr().err
