"""DAVIS 2017: ``JPEGImages/480p/NAME/*.jpg``, ``Annotations/480p/NAME/*.png``, ``ImageSets/2017/val.txt``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avssl.errors import UserError
from avssl.evaluate.data.reading import read_lines
from avssl.evaluate.transfer.propagation.videos import PICTURES, LabelledVideo, VideoSet, masks_of, read_pictures

RESOLUTION = "480p"


def is_davis(folder: Path) -> bool:
    """Whether a folder is laid out as DAVIS."""
    return (folder / "JPEGImages").is_dir() and (folder / "Annotations").is_dir()


def open_davis(folder: Path, split: str = "val") -> VideoSet:
    """The videos of a split, by its list in ``ImageSets/2017`` (or ``2016``), at 480p where there are several sizes.

    Raises:
        UserError: no such list, or a video of it is not there.
    """
    lists = [folder / "ImageSets" / year / f"{split}.txt" for year in ("2017", "2016")]
    listed = next((file for file in lists if file.is_file()), None)
    if listed is None:
        there = sorted({file.stem for file in (folder / "ImageSets").rglob("*.txt")})
        raise UserError(f"{lists[0]}: no such file; --split is one of {', '.join(there) or 'none, ImageSets is empty'}")
    pictures, annotations = (_sized(folder / name) for name in ("JPEGImages", "Annotations"))
    videos, passed_over = [], []
    # The list of 2016 names files; of each the folder is the video.
    names = dict.fromkeys(Path(line.split()[0]).parts[-2 if "." in line else -1] for line in read_lines(listed))
    for name in names:
        frames = pictures_of(pictures / name)
        if not frames:
            raise UserError(f"{pictures / name}: no pictures, and {listed} lists this video; complete the folder")
        masks = [annotations / name / f"{frame.stem}.png" for frame in frames]
        if not masks[0].is_file():
            passed_over.append(f"{name}: no mask of its first frame")
            continue
        truth = partial(masks_of, [mask if mask.is_file() else None for mask in masks])
        videos.append(LabelledVideo(name, name, partial(read_pictures, frames), truth, str(frames[0])))
    return VideoSet("DAVIS", "masks", videos, split, passed_over)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder by name; none where it is not there."""
    return sorted(file for file in folder.glob("*") if file.suffix.lower() in PICTURES)


def _sized(folder: Path) -> Path:
    return folder / RESOLUTION if (folder / RESOLUTION).is_dir() else folder
