"""The demo video: what goes in comes out, as long as it was, with its sound in step, or one clear line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import avssl
from avssl.cli.main import main
from avssl.errors import UserError
from avssl.localization.analysis import Analysis
from avssl.localization.regions import peak_of
from avssl.networks.audio import AudioConfig, AudioEncoder
from avssl.networks.config import VisionConfig
from avssl.networks.front_end import FrontEndConfig
from avssl.networks.fusion import FUSIONS
from avssl.networks.saving import save_module
from avssl.networks.vision import VisionEncoder

RATE = 16000
FLASH = 1.2
"""Second at which the made clips flash white and click."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoders of a small avol with random weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    vision = VisionEncoder(VisionConfig(width=4, convs=1, side=32, pools=2))
    audio = AudioEncoder(AudioConfig(FrontEndConfig("log-mel", RATE, 16, 0.5), width=4, convs=1))
    for name, module in (("vision", vision), ("audio", audio), ("fusion", FUSIONS["avol"](32, 32))):
        save_module(module, folder / "encoders" / name)
    return folder


def write_clip(
    path: Path, times: list[float], seconds: float, size: tuple[int, int] = (64, 48), sound: bool = True
) -> None:
    """A grey clip that is white while the flash lasts, with a click at the flash; frames at any times."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"})
        video.width, video.height, video.pix_fmt = *size, "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 12800)
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        ends = [*times[1:], seconds]
        for time, end in zip(times, ends, strict=True):
            level = 255 if time <= FLASH < end else 60
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 12800), Fraction(1, 12800)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            wave = np.zeros((1, round(seconds * RATE)), np.float32)
            click = round(FLASH * RATE)
            wave[0, click : click + 400] = 0.8 * np.sin(np.arange(400) / 3)[: len(wave[0, click : click + 400])]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


@contextmanager
def opened(path: Path) -> Iterator[av.container.InputContainer]:
    with av.open(str(path)) as container:
        yield container


def length(path: Path) -> float:
    """Seconds that a player shows."""
    with opened(path) as container:
        assert container.duration is not None
        return container.duration / 1e6


def flash_and_click(path: Path) -> tuple[float, float]:
    """When the picture is brightest first, and when the sound begins."""
    with opened(path) as container:
        bright = [(float(f.time), f.to_ndarray(format="gray")[:40].mean()) for f in container.decode(video=0)]
    with opened(path) as container:
        pieces = [(float(f.time), f.to_ndarray()[0], f.sample_rate) for f in container.decode(audio=0)]
    start, rate = pieces[0][0], pieces[0][2]
    wave = np.concatenate([piece for _, piece, _ in pieces])
    loud = np.flatnonzero(np.abs(wave) > 0.2)
    return next(time for time, level in bright if level > 160), start + loud[0] / rate


STEADY = [k / 25 for k in range(50)]
UNEVEN = sorted(
    {*[k * 0.013 for k in range(40)], *[0.6 + k * 0.11 for k in range(6)], FLASH, *[1.3 + k * 0.2 for k in range(4)]}
)


@pytest.mark.parametrize(
    ("times", "size", "seconds"),
    [
        (STEADY, (64, 48), 2.0),
        (UNEVEN, (64, 48), 2.0),
        (STEADY, (36, 128), 2.0),
        (STEADY, (161, 121), 2.0),
        (STEADY[:35], (64, 64), 1.4),
    ],
    ids=["steady", "variable-rate", "portrait", "odd-size", "short"],
)
def test_what_comes_out_plays_in_a_browser_as_long_as_what_went_in(
    run: Path, tmp_path: Path, times: list[float], size: tuple[int, int], seconds: float
) -> None:
    write_clip(tmp_path / "in.mp4", times, seconds, size)
    assert main(["localize", str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out.mp4"), "--run", str(run)]) == 0
    with opened(tmp_path / "out.mp4") as out:
        video, audio = out.streams.video[0], out.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, audio.codec_context.name) == (
            "h264",
            "yuv420p",
            "aac",
        )
        assert video.frames == len(times)
        assert length(tmp_path / "out.mp4") == pytest.approx(length(tmp_path / "in.mp4"), abs=0.02)
        assert video.width % 2 == video.height % 2 == 0
        assert video.width / (video.height - 52) == pytest.approx(size[0] / size[1], rel=0.12)
        assert [float(f.time) for f in out.decode(video=0)] == pytest.approx(times, abs=2e-4)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    flash, click = flash_and_click(tmp_path / "out.mp4")
    assert flash == pytest.approx(FLASH, abs=0.041)
    assert click == pytest.approx(FLASH, abs=0.02)
    assert not list(tmp_path.glob(".*"))


def test_the_json_and_the_strip_agree_with_the_maps(run: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", STEADY, 2.0)
    command = ["localize", str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out.mp4"), "--run", str(run)]
    assert main([*command, "--threshold", "-1000"]) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    moments = found["moments"]
    assert moments[0]["seconds"] == 0
    assert moments[-1]["seconds"] == pytest.approx(1.96)
    heard = [m for m in moments if m["level_db"] is not None]
    assert heard
    assert all(m["heard"] and 0 <= min(m["peak"]) <= max(m["peak"]) <= 1 for m in heard)
    assert not any(m["heard"] for m in moments if m["level_db"] is None), "digital silence is never heard"
    from PIL import Image

    assert Image.open(tmp_path / "out.png").width > 1000


def test_where_nothing_is_heard_it_says_so_and_the_picture_stays(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "in.mp4", STEADY, 2.0)
    command = ["localize", str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out.mp4"), "--run", str(run)]
    assert main([*command, "--threshold", "1000"]) == 0
    assert "nothing audible is in the picture" in capsys.readouterr().out
    assert not any(m["heard"] or m["peak"] for m in json.loads((tmp_path / "out.json").read_text())["moments"])
    with opened(tmp_path / "out.mp4") as out:
        first = next(out.decode(video=0)).to_ndarray(format="rgb24")
    assert np.ptp(first[10:200].astype(int)) < 12, "no heat, no ring"


def test_a_picture_with_a_sound_becomes_a_video_as_long_as_the_sound(run: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (90, 60), (90, 120, 30)).save(tmp_path / "still.png")
    write_clip(tmp_path / "sound.mp4", STEADY, 2.0)
    words = [str(tmp_path / "still.png"), "--sound", str(tmp_path / "sound.mp4"), "-o", str(tmp_path / "out.mp4")]
    assert main(["localize", *words, "--run", str(run)]) == 0
    assert length(tmp_path / "out.mp4") == pytest.approx(length(tmp_path / "sound.mp4"), abs=0.11)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mute.mp4", "-o", "o.mp4"], "has no sound"),
        (["absent.mp4", "-o", "o.mp4"], "absent.mp4"),
        (["text.mp4", "-o", "o.mp4"], "text.mp4"),
        (["mute.mp4"], "needs -o OUT.mp4"),
        (["mute.mp4", "-o", "o.gif"], "must end in .mp4"),
        (["mute.mp4", "-o", "mute.mp4"], "is the input itself"),
        (["still.png", "-o", "o.mp4"], "--sound"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    line: str,
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "mute.mp4", STEADY[:10], 0.4, sound=False)
    (tmp_path / "text.mp4").write_text("no video")
    Image.new("RGB", (40, 40)).save(tmp_path / "still.png")
    assert main(["localize", *words, "--run", str(run)]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o.mp4").exists()


def test_between_two_moments_the_peak_stays_where_one_of_them_has_it() -> None:
    maps = np.full((2, 9, 9), -10.0, np.float16)
    maps[0, 2, 2] = maps[1, 6, 6] = 1.0  # a thing that moves
    maps[:, 8, 0] = -4.0  # another, of which little is thought at both moments
    flags, zeros = np.ones(2, bool), np.zeros(2)
    analysis = Analysis(np.array([0.0, 0.2]), maps, zeros, zeros, flags, -1.0)
    for seconds in (0.0, 0.05, 0.1, 0.15, 0.2):
        region, _, _ = analysis.at(seconds)
        x, y = peak_of(region)
        assert min(np.hypot(x - 2.5 / 9, y - 2.5 / 9), np.hypot(x - 6.5 / 9, y - 6.5 / 9)) < 0.06


def test_from_python_it_writes_what_the_command_writes(run: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", STEADY, 2.0)
    shown = avssl.localize(tmp_path / "in.mp4", run, out=tmp_path / "python.mp4", threshold=-1000, per_second=4)
    words = [str(tmp_path / "in.mp4"), "--run", str(run), "--threshold", "-1000", "--per-second", "4"]
    assert main(["localize", *words, "-o", str(tmp_path / "command.mp4")]) == 0
    assert shown.video == tmp_path / "python.mp4"
    assert shown.facts.read_text() == (tmp_path / "command.json").read_text()


def test_from_python_an_option_that_does_not_fit_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no option is called 'per_secnd'; did you mean 'per_second'"):
        avssl.localize("in.mp4", run, out=tmp_path / "out.mp4", per_secnd=4)
    with pytest.raises(UserError, match=r"per_second \(0\) must be more than 0 and at most 120"):
        avssl.localize("in.mp4", run, out=tmp_path / "out.mp4", per_second=0)
    with pytest.raises(UserError, match=r"must end in \.mp4"):
        avssl.localize("in.mp4", run, out=tmp_path / "out.gif")


@pytest.mark.parametrize("fusion", ["ave", "l3"])
def test_a_network_that_was_not_made_to_point_says_so_and_which_one_is(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fusion: str
) -> None:
    shutil.copytree(run, tmp_path / "run")
    save_module(FUSIONS[fusion](32, 32), tmp_path / "run" / "encoders" / "fusion")
    write_clip(tmp_path / "in.mp4", STEADY[:10], 0.4)
    said = {}
    for name, folder in (("other", tmp_path / "run"), ("avol", run)):
        words = ["localize", str(tmp_path / "in.mp4"), "-o", str(tmp_path / f"{name}.mp4"), "--run", str(folder)]
        assert main(words) == 0
        said[name] = capsys.readouterr().out
    assert f"(fusion {fusion}) was trained to tell whether" in said["other"]
    assert "--fusion avol shows where" in said["other"]
    assert "not where" not in said["avol"]
