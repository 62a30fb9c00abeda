"""Small pictures reach the network to the bit."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avssl.experiment.data import DataOptions, fast, gather
from avssl.experiment.places import open_source
from avssl.media.in_memory import InMemory
from avssl.samplers.keys import Key
from avssl.tasks.rotation.puzzle import RotationOptions
from avssl.tasks.rotation.task import Rotation

pytestmark = pytest.mark.slow


def test_lossless_pictures_of_a_tar_stay_lossless(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for number, picture in enumerate(pixels):
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "WEBP", lossless=True)
            member = tarfile.TarInfo(f"kind{number % 2}/{number:05d}.webp")
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)
    task = Rotation(RotationOptions()).held_out()
    media = fast(open_source(str(tmp_path / "train.tar")), task, DataOptions())
    assert isinstance(media, InMemory) and media.facts(0).label == "kind0"
    by_name = {media.facts(i).path[-10:]: media.frames(i, [0.0])[0] for i in range(6)}
    assert all(np.array_equal(by_name[f"{n:05d}.webp"], pixels[n].transpose(2, 0, 1)) for n in range(6))
    puzzle = task.draw(media, Key(0, 0, 0))
    upright = np.rot90(puzzle.views[0], -puzzle.labels[0], axes=(1, 2))
    assert any(np.array_equal(upright, picture) for picture in by_name.values())


@pytest.mark.realdata
def test_a_tar_and_a_folder_of_real_pictures_are_divided_as_they_say(shared_data: Path):
    task = Rotation(RotationOptions())
    options = DataOptions(str(shared_data / "cifar10" / "train.tar"), str(shared_data / "cifar10" / "test.tar"))
    parts = gather(task, options, 0)
    assert len(parts.test) == 2000 and len(parts.train) + len(parts.validation) == 6400
    assert len({parts.test.facts(i).label for i in range(2000)}) == 10
    parts = gather(task, DataOptions(str(shared_data / "caltech")), 0)
    assert len(parts.test) == 432 and len(parts.train) + len(parts.validation) == 1209
    theirs = [{part.facts(i).source for i in range(len(part))} for part in (parts.train, parts.validation, parts.test)]
    assert not theirs[0] & theirs[1] and not (theirs[0] | theirs[1]) & theirs[2]
