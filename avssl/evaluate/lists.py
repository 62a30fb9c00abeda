"""Published lists of what is trained on, tested on, and true: UCF101, HMDB51, VOC, and folds in a column of a CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from avssl.errors import UserError
from avssl.media.facts import Media

UCF_FOLDER, HMDB_FOLDER = "ucfTrainTestlist", "testTrainMulti_7030_splits"

Marks = dict[str, str]
"""The split ("train", "test") of a video by its name; what is not listed is used by neither."""


def action_lists(folder: str | Path, number: int) -> Marks:
    """Which videos a split of UCF101 or HMDB51 trains on and tests on, by file name without folder.

    Args:
        folder: that holds ``trainlist01.txt`` and ``testlist01.txt`` (UCF101: "Class/v_Class_g01_c01.avi[ number]"), or
            ``CLASS_test_split1.txt`` (HMDB51: "name.avi 1" trains, 2 tests, 0 is unused).
        number: of the split, 1 to 3.

    Raises:
        UserError: no such lists there, or a line that cannot be read.
    """
    place = Path(folder)
    marks: Marks = {}
    for split in ("train", "test"):
        file = place / f"{split}list{number:02d}.txt"
        if file.is_file():
            marks |= {Path(line.split()[0]).name: split for line in _lines(file)}
    if marks:
        return marks
    files = sorted(place.glob(f"*_test_split{number}.txt"))
    if not files:
        raise UserError(
            f"{folder} holds no lists of split {number} of UCF101 (trainlist0N.txt) or HMDB51 (*_splitN.txt)"
        )
    for file in files:
        for line in _lines(file):
            name, _, flag = line.strip().rpartition(" ")
            if flag not in ("0", "1", "2"):
                raise UserError(f"{file}: {line!r} does not end in 0, 1 or 2 as the lists of HMDB51 do")
            if flag != "0":
                marks[name.strip()] = "train" if flag == "1" else "test"
    return marks


def action_group(path: str) -> str:
    """What a video was cut from: "Class/group" of UCF101's ``v_Class_g01_c01``, else its path."""
    parts = Path(path).stem.split("_")
    if len(parts) == 4 and parts[0] == "v" and parts[2].startswith("g") and parts[3].startswith("c"):
        return f"{parts[1]}/{parts[2]}"
    return path


def column_of(table: str | Path, media: Media, column: str) -> list[str]:
    """The value of a column of a CSV for each item of the collection that was opened from it (such as its fold).

    Raises:
        UserError: the file is no table, has no such column, or lacks an item.
    """
    if Path(table).suffix.lower() not in (".csv", ".tsv"):
        raise UserError(f"{table} is no CSV; the folds are a column of a CSV")
    text = Path(table).read_text(encoding="utf-8-sig")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = [
        {k.strip().lower(): v for k, v in row.items()} for row in csv.DictReader(text.splitlines(), delimiter=delimiter)
    ]
    columns = list(rows[0]) if rows else []
    if column.lower() not in columns:
        raise UserError(f"{table}: has no column {column!r}; its columns: {', '.join(columns) or 'none'}")
    name = next((c for c in ("path", "file", "filename", "clip") if c in columns), columns[0])
    values = {Path(row[name]).name: row[column.lower()].strip() for row in rows}
    found = [values.get(Path(media.facts(i).path).name) for i in range(len(media))]
    lost = [media.facts(i).path for i, value in enumerate(found) if value is None]
    if lost:
        raise UserError(f"{table} says nothing of {lost[0]}")
    return [str(value) for value in found]


def is_voc(folder: str | Path) -> bool:
    """Whether a folder is laid out as Pascal VOC."""
    return all((Path(folder) / name).is_dir() for name in ("Annotations", "JPEGImages", "ImageSets/Main"))


def voc_list(folder: str | Path, *names: str) -> list[Path]:
    """Pictures of the first of the lists ``ImageSets/Main/NAME.txt`` that is there.

    Raises:
        UserError: none of them is.
    """
    place = Path(folder)
    for name in names:
        file = place / "ImageSets" / "Main" / f"{name}.txt"
        if file.is_file():
            return [place / "JPEGImages" / f"{line.split()[0]}.jpg" for line in _lines(file)]
    raise UserError(f"{folder} has no list {' or '.join(names)} in ImageSets/Main")


def voc_truths(folder: str | Path, pictures: Sequence[Path]) -> dict[str, dict[str, int]]:
    """By path of the picture, for each class in it: 1, or −1 where all its objects are marked difficult (VOC's 0).

    Raises:
        UserError: an annotation is missing or damaged.
    """
    truths: dict[str, dict[str, int]] = {}
    for picture in pictures:
        file = Path(folder) / "Annotations" / f"{picture.stem}.xml"
        try:
            root = ElementTree.parse(file).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise UserError(f"{file} cannot be read as an annotation of VOC ({error})") from None
        row: dict[str, int] = {}
        for one in root.iter("object"):
            name = (one.findtext("name") or "").strip()
            sure = (one.findtext("difficult") or "0").strip() == "0"
            row[name] = 1 if sure or row.get(name) == 1 else -1
        truths[str(picture.absolute())] = row
    return truths


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as a list ({error})") from None
