"""A fault of the program is never a file's verdict; what FFmpeg and PyAV cannot read is."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest
from small_runs import write_clip

from avssl.cli.main import main
from avssl.media.indexing import inspect as inspecting
from avssl.media.indexing.inspect import inspect
from avssl.media.opening import open_media


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, 0)
    return path


@pytest.mark.parametrize(
    "fault", [TypeError("no such argument"), AttributeError("pts"), KeyError("x"), ValueError("y")]
)
def test_a_fault_of_the_program_while_looking_at_a_file_is_raised_and_names_the_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise fault

    monkeypatch.setattr(inspecting, "scan", broken)
    with pytest.raises(type(fault)) as raised:
        inspect(str(clip))
    assert f"while inspecting {clip}" in raised.value.__notes__


def test_what_pyav_cannot_show_is_the_verdict_on_that_file(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*args: object, **options: object) -> None:
        av.VideoFrame(16, 16, "no such format")

    monkeypatch.setattr(inspecting, "scan", unsupported)
    assert inspect(str(clip)).reason == "unreadable: not a pixel format: 'no such format'"


def test_a_decoder_that_takes_other_arguments_ends_the_command_and_names_itself(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for an installed PyAV whose interface has changed."""
    shutil.copy(clip, tmp_path / "clip.mp4")
    (tmp_path / "sitecustomize.py").write_text(
        "import av\nreal = av.open\ndef changed(file, *, mode='r'):\n    return real(file)\nav.open = changed\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    assert main(["index", str(tmp_path / "clip.mp4"), "--workers", "1"]) == 1
    message = capfd.readouterr().err
    assert "internal error of avssl" in message.splitlines()[-1]
    assert "unexpected keyword argument" in message.splitlines()[-1]
    assert f"while inspecting {tmp_path / 'clip.mp4'}" in message
    with pytest.raises(TypeError, match="unexpected keyword"):
        open_media(tmp_path, workers=1, progress=False)
