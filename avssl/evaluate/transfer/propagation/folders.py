"""Finding out what a place holds: DAVIS, JHMDB, a generated world, a plain folder of frames and masks, or one video."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avssl.errors import UserError
from avssl.evaluate.transfer.propagation.davis import is_davis, open_davis, pictures_of
from avssl.evaluate.transfer.propagation.generated import is_world, open_world
from avssl.evaluate.transfer.propagation.jhmdb import is_jhmdb, open_jhmdb
from avssl.evaluate.transfer.propagation.videos import (
    Frames,
    LabelledVideo,
    Masks,
    VideoSet,
    film_times,
    first_mask_alone,
    masks_of,
    read_film,
    read_pictures,
    seconds_a_frame,
)

FILMS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".m4v")


def open_videos(place: str | Path, split: str | None = None, mask: str | None = None) -> VideoSet:
    """The labelled videos of a place.

    Args:
        place: a DAVIS folder, a JHMDB folder, a generated world or a part of one, a folder with ``frames/`` and
            ``masks/``, or one video with ``mask``.
        split: whose videos; by default "val" of DAVIS, "test" of JHMDB and of a world.
        mask: a picture of the first frame's objects, of one video.

    Raises:
        UserError: there is no such place, it holds none of these, or no video of it can be used.
    """
    folder = Path(place).expanduser()
    if not folder.exists():
        raise UserError(f"{place}: no such file or folder")
    if mask is not None or folder.is_file():
        return _one_video(folder, mask)
    if is_world(folder):
        found = open_world(folder, split or "test")
    elif is_davis(folder):
        found = open_davis(folder, split or "val")
    elif is_jhmdb(folder):
        found = open_jhmdb(folder, split or "test")
    elif (folder / "frames").is_dir() and (folder / "masks").is_dir():
        found = _plain(folder)
    else:
        raise UserError(
            f"{place}: no videos with labels; give a folder as DAVIS (JPEGImages/, Annotations/), as JHMDB "
            "(joint_positions/), with frames/NAME/ and masks/NAME/, a generated world, or one video with --mask"
        )
    if not found.videos:
        why = f", such as {found.passed_over[0]}" if found.passed_over else ""
        raise UserError(f"{place}: no video of it can be used{why}")
    return found


def _plain(folder: Path) -> VideoSet:
    """``frames/NAME/*.jpg`` or ``frames/NAME.mp4``, and ``masks/NAME/*.png`` named as the frames, or by number."""
    videos, passed_over = [], []
    films: list[Path] = []
    for place in sorted((folder / "frames").iterdir()):
        film = place.suffix.lower() in FILMS
        if not film and not place.is_dir():
            continue
        name = place.stem if film else place.name
        masks = {file.stem: file for file in (folder / "masks" / name).glob("*.png")}
        if film:
            frames, stems = partial(read_film, place), _numbered(masks, len(film_times(place)))
            films.append(place)
        else:
            pictures = pictures_of(place)
            frames, stems = partial(read_pictures, pictures), [file.stem for file in pictures]
        of_frames = [masks.get(stem) for stem in stems]
        if not of_frames or of_frames[0] is None:
            passed_over.append(f"{name}: no mask of its first frame in {folder / 'masks' / name}")
            continue
        videos.append(LabelledVideo(name, name, frames, partial(masks_of, of_frames), str(place)))
    pace = seconds_a_frame(films[0]) if films else VideoSet.seconds_a_frame
    return VideoSet("folder", "masks", videos, "all", passed_over, pace)


def _numbered(masks: dict[str, Path], count: int) -> list[str]:
    """The names that masks of a film's frames have: the number of the frame, from 0 on, with any zeros before it."""
    by_number = {int(stem): stem for stem in masks if stem.isdecimal()}
    return [by_number.get(number, "") for number in range(count)]


def _one_video(place: Path, mask: str | None) -> VideoSet:
    if mask is None:
        raise UserError(f"{place}: of one video --mask M.png must mark the objects of its first frame")
    if not Path(mask).is_file():
        raise UserError(f"{mask}: no such file")
    frames: partial[Frames] = partial(read_film, place)
    pace = VideoSet.seconds_a_frame
    if place.is_dir():
        frames = partial(read_pictures, pictures_of(place))
    else:
        pace = seconds_a_frame(place)
    truth: partial[Masks] = partial(first_mask_alone, Path(mask), frames)
    video = LabelledVideo(place.stem, place.stem, frames, truth, str(place))
    return VideoSet("video", "masks", [video], "all", (), pace)
