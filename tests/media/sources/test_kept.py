"""Sources of a large collection are found once, until a file changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import avssl
from avssl.media.facts import Media
from avssl.media.sources import find_sources, finding, kept


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures, two of which are copies; as many as are worth keeping."""
    monkeypatch.setenv("AVSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH_KEEPING", 4)
    place = tmp_path / "pictures"
    place.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3), np.uint8)
    for name, level in (("a", 0), ("b", 1), ("c", 2), ("d", 0)):
        Image.fromarray(noise[level]).save(place / f"{name}.png")
    return place


def opened(folder: Path) -> Media:
    return avssl.open(folder, progress=False, workers=0)


def test_they_are_the_same_the_second_time_and_nothing_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_sources(opened(folder), workers=0, progress=False)
    assert [group.rule for group in first.groups] == ["bytes"] or first.count == 3
    monkeypatch.setattr(finding, "traces_of", lambda *given: pytest.fail("the items were looked at"))
    assert find_sources(opened(folder), workers=0, progress=False) == first
    with pytest.raises(pytest.fail.Exception):
        (folder / "d.png").write_bytes((folder / "b.png").read_bytes())
        find_sources(opened(folder), workers=0, progress=False)


def test_other_ways_of_finding_and_damaged_files_are_not_taken(folder: Path) -> None:
    first = find_sources(opened(folder), workers=0, progress=False)
    assert find_sources(opened(folder), "none").count == 4
    for path in (folder.parent / "cache" / "sources").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    assert find_sources(opened(folder), workers=0, progress=False) == first


def test_what_could_not_be_measured_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = opened(folder)
    with monkeypatch.context() as patch:
        patch.setattr(finding, "traces_of", lambda *given: [finding.NOTHING] * 4)
        find_sources(media, workers=0, progress=False)
    assert not list((folder.parent / "cache").glob("sources/*.npz"))
