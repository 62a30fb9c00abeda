"""--part and --merge on the command line: a job array in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.cli.main import main


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(5):
        Image.fromarray(np.full((48, 48, 3), 40 * n, np.uint8)).save(folder / f"{n}.png")
    return folder


def test_a_job_array_indexes_and_prepares(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index, out = ["index", str(pictures), "--workers", "0"], str(tmp_path / "out")
    prepare = ["prepare", str(pictures), out, "--side", "16", "--shard-size", "1", "--workers", "0"]
    for command, unit in ((index, "files"), (prepare, "shards")):
        assert main([*command, "--part", "1/2"]) == 0
        assert f"part 1/2 is done; of the whole 2 of 5 {unit} are there" in capsys.readouterr().out
        assert main([*command, "--merge"]) == 2
        assert "missing" in capsys.readouterr().err
        assert main([*command, "--part", "2/2"]) == 0
        assert main([*command, "--merge"]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 5 items" in said
    assert main(["index", out]) == 0


def test_a_part_that_makes_no_sense_is_refused(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(pictures), "--part", "3/2"]) == 2
    assert capsys.readouterr().err == "avssl: --part 3/2: give K/N with K from 1 to N, such as 3/8\n"
