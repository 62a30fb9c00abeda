"""A file that is no longer the one that was indexed is not read as if it were."""

from __future__ import annotations

import os
import pickle
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media.made import Recipe, make
from PIL import Image

import avssl
from avssl.errors import MediaError

SHORT = Recipe("mp4", frames=10, sound_seconds=0.4)


def picture(path: Path, level: int) -> None:
    Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(path)


def pictures_tar(path: Path, level: int) -> None:
    picture(path.with_name("p.png"), level)
    with tarfile.open(path, "w") as tar:
        tar.add(path.with_name("p.png"), "p.png")


def _video(folder: Path) -> tuple[Any, Path, Callable[[], object]]:
    path = Path(make(folder, SHORT, "clip"))
    other = make(folder.parent, Recipe("mp4", frames=20, sound_seconds=0.8), "other")
    return folder, path, lambda: shutil.copyfile(other, path)


def _sound(folder: Path) -> tuple[Any, Path, Callable[[], object]]:
    path = Path(make(folder, Recipe("wav", video=None, sound="pcm_s16le", format="wav"), "song"))
    other = make(folder.parent, Recipe("wav", video=None, sound="pcm_s16le", format="wav", sound_seconds=2.0), "other")
    return folder, path, lambda: shutil.copyfile(other, path)


def _image(folder: Path) -> tuple[Any, Path, Callable[[], object]]:
    path = folder / "p.png"
    picture(path, 10)
    return folder, path, lambda: picture(path, 11)


def _member(folder: Path) -> tuple[Any, Path, Callable[[], object]]:
    path = folder / "all.tar"
    pictures_tar(path, 10)
    return path, path, lambda: pictures_tar(path, 11)


@pytest.mark.parametrize("kind", [_video, _sound, _image, _member])
def test_a_file_that_changed_since_it_was_indexed_is_noticed_when_it_is_read(
    kind: Callable[[Path], tuple[Any, Path, Callable[[], object]]], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    named, path, change = kind(folder)
    media = avssl.open(named, progress=False, workers=0)
    facts = media.facts(0)

    def read(of: Any) -> None:
        if facts.kind == "sound":
            of.audio(0, 0.1, 0.1, 8000)
        else:
            of.frames(0, [0.0])

    read(media)
    sent = pickle.dumps(media)  # as to a worker
    change()
    os.utime(path, ns=(1, 10**18))  # however fast this machine is
    for of in (media, pickle.loads(sent)):
        with pytest.raises(MediaError, match="has changed since it was indexed; run the command again") as caught:
            read(of)
        assert caught.value.path == facts.path
        if facts.kind == "video":
            with pytest.raises(MediaError, match="has changed"):
                of.audio(0, 0.0, 0.1, 8000)
            with pytest.raises(MediaError, match="has changed"):
                next(of.all_frames(0, [0], (8, 8)))
    read(avssl.open(named, progress=False, workers=0))  # the command, run again


def first_frame(media: Any) -> Any:
    return media.frames(0, [0.0])


def test_a_worker_notices_it_too(tmp_path: Path) -> None:
    path = make(tmp_path, SHORT)
    media = avssl.open(tmp_path, progress=False, workers=0)
    os.utime(path, ns=(1, 10**18))
    with ProcessPoolExecutor(1) as workers, pytest.raises(MediaError, match="has changed"):
        workers.submit(first_frame, media).result()
