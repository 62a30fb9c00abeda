"""A world on the disk: ordinary files, written whole, continued where it was left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from avssl.errors import UserError
from avssl.system.process_pool import Lost
from avssl.world import build
from avssl.world.build import generate
from avssl.world.clip import make_clip
from avssl.world.mp4 import write_video
from avssl.world.settings import Settings, is_finished
from avssl.world.sheet import contact_sheet
from avssl.world.truth import read_truth

SMALL = {"train": 3, "validation": 1, "test": 2, "size": 64, "frames": 20}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("worlds") / "world"
    generate(out, workers=1, **SMALL)
    return out


def files_of(world: Path) -> dict[str, bytes]:
    return {str(path.relative_to(world)): path.read_bytes() for path in sorted(world.rglob("*")) if path.is_file()}


def test_a_world_is_folders_of_clips_with_their_truth(world: Path) -> None:
    names = [f"{split}/clip_{i:05d}" for split, n in (("test", 2), ("train", 3), ("validation", 1)) for i in range(n)]
    assert list(files_of(world)) == sorted(
        [f"{name}{suffix}" for name in names for suffix in (".json", ".mp4")] + ["world.json"]
    )
    assert is_finished(world, Settings(**SMALL))
    assert not is_finished(world, Settings(**{**SMALL, "seed": 1}))


def test_clips_are_ordinary_video_files(world: Path) -> None:
    path = world / "train" / "clip_00001.mp4"
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 16000, 1)
        frames = list(container.decode(video))
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 25 for i in range(20)])
    made = make_clip(Settings(**SMALL), "train", 1)
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert np.abs(shown.astype(int) - made.frames).mean() < 6.0
    assert read_truth(path) == json.loads(json.dumps(made.truth))


def test_the_sound_stays_in_its_place_through_the_codec(tmp_path: Path) -> None:
    # A click every tenth of a second, by which a shift of a sample would show.
    samples = np.zeros(16000, dtype=np.float32)
    samples[800::1600] = 0.8
    write_video(tmp_path / "clicks.mp4", np.zeros((25, 64, 64, 3), np.uint8), 25, samples, 16000)
    with av.open(str(tmp_path / "clicks.mp4")) as container:
        frames = list(container.decode(audio=0))
    heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    start = round(float(frames[0].time or 0.0) * 16000)
    shifts = np.arange(-40, 41)
    match = [np.dot(heard[2000 - start + s : 14000 - start + s], samples[2000:14000]) for s in shifts]
    assert abs(int(shifts[int(np.argmax(match))])) <= 1


def test_the_same_settings_write_the_same_bytes_with_any_number_of_workers(world: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", workers=2, **SMALL)
    assert files_of(tmp_path / "again") == files_of(world)


def test_an_interrupted_world_is_continued(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def interrupted(*args: object) -> None:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(1)
        write_video(*args)  # type: ignore[arg-type]

    out = tmp_path / "world"
    monkeypatch.setattr(build, "write_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(out, workers=1, **SMALL)
    assert not is_finished(out, Settings(**SMALL))
    monkeypatch.undo()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("clip_*")}
    assert len(before) == 6
    found: list[tuple[int, int]] = []
    generate(out, workers=1, on_progress=lambda done, total: found.append((done, total)), **SMALL)
    assert files_of(out) == files_of(world)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert found[0] == (3, 6) and found[-1] == (6, 6)


def test_a_clip_without_its_truth_is_made_again(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "world"
    generate(out, workers=1, **SMALL)
    (out / "train" / "clip_00002.json").unlink()
    (out / "train" / "clip_00002.mp4").write_bytes(b"half")
    generate(out, workers=1, **SMALL)
    assert files_of(out) == files_of(world)


def test_a_worker_that_dies_is_one_line_and_the_rerun_continues(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_lost(function: Callable[[Any], int], jobs: list[Any], workers: int) -> Iterator[tuple[int, int | Lost]]:
        yield 1, function(jobs[1])
        yield 0, Lost("ended by signal 9", passing=True)

    monkeypatch.setattr(build, "each", first_lost)
    with pytest.raises(UserError, match=r"a worker process ended .*signal 9.*with workers=1") as error:
        generate(tmp_path / "world", workers=2, **SMALL)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    generate(tmp_path / "world", workers=1, **SMALL)
    assert files_of(tmp_path / "world") == files_of(world)


def test_another_world_is_never_written_over(world: Path) -> None:
    with pytest.raises(UserError, match="seed is 0, not 5"):
        generate(world, **{**SMALL, "seed": 5})


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("photos")
    with pytest.raises(UserError, match="not empty"):
        generate(tmp_path, **SMALL)
    with pytest.raises(UserError, match="a file"):
        generate(tmp_path / "holiday.txt", **SMALL)


def test_a_contact_sheet_is_a_small_png_of_the_clips(world: Path, tmp_path: Path) -> None:
    contact_sheet(world, tmp_path / "sheet.png", clips=3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000 and sheet.height > 300
    assert (tmp_path / "sheet.png").stat().st_size < 300_000


def test_a_contact_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no generated clips"):
        contact_sheet(tmp_path, tmp_path / "sheet.png")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the children of a process from /proc")
def test_a_killed_generation_leaves_no_process_behind(tmp_path: Path) -> None:
    out, script = tmp_path / "world", tmp_path / "make.py"
    script.write_text(f"from avssl.world import generate\ngenerate({str(out)!r}, train=4000, workers=2)\n")
    process = subprocess.Popen([sys.executable, str(script)])
    wait_until(lambda: any((out / "train").glob("*.json")))
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    started = [number for thread in children for number in thread.read_text().split()]
    assert len(started) >= 2
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in started))


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "this never came true"
        time.sleep(0.05)
