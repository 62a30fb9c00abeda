"""Published lists of training items, test items and labels: UCF101, HMDB51, VOC, and folds in a column of a CSV."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from avssl.errors import UserError
from avssl.evaluate.data.joins import joined
from avssl.evaluate.data.reading import read_lines, read_xml
from avssl.media.facts import Media

# The split ("train", "test") of a video by its name as listed; what is not listed is used by neither
Marks = dict[str, str]


def action_lists(folder: str | Path, number: int) -> Marks:
    """Which videos a split of UCF101 or HMDB51 trains on and tests on, by name with the folder of its class.

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
            # trainlist has the number of the class behind each name, testlist has not
            marks |= {line.split()[0]: split for line in read_lines(file)}
    if marks:
        return marks
    files = sorted(place.glob(f"*_test_split{number}.txt"))
    if not files:
        raise UserError(
            f"{folder} holds no lists of split {number} of UCF101 (trainlist0N.txt) or HMDB51 (*_splitN.txt)"
        )
    for file in files:
        folder_name = file.name.removesuffix(f"_test_split{number}.txt")
        for line in read_lines(file):
            name, _, flag = line.strip().rpartition(" ")
            if flag not in ("0", "1", "2"):
                raise UserError(f"{file}: {line!r} does not end in 0, 1 or 2 as the lists of HMDB51 do")
            if flag != "0":
                marks[f"{folder_name}/{name.strip()}"] = "train" if flag == "1" else "test"
    return marks


def action_group(path: str) -> str:
    """What a video was cut from: "Class/group" of UCF101's ``v_Class_g01_c01``, else its path."""
    parts = Path(path).stem.split("_")
    if len(parts) == 4 and parts[0] == "v" and parts[2].startswith("g") and parts[3].startswith("c"):
        return f"{parts[1]}/{parts[2]}"
    return path


def splits_of(marks: Marks, paths: Sequence[str], where: str) -> list[str | None]:
    """The split of each file by the lists, joined by path; None for one that is in none.

    Raises:
        UserError: a name of the lists could mean several of the files, or lists disagree about one.
    """
    names = list(marks)
    return [None if number is None else marks[names[number]] for number in joined(names, paths, where)]


def column_of(table: str | Path, media: Media, column: str) -> list[str]:
    """The value of a column of a CSV (such as the fold) for each item of a collection that was opened from it, or of a
    view.

    The table is read as it was for the collection, so that each item has the value of its own row.

    Raises:
        UserError: the file is no table, or has no such column.
        ValueError: the collection is of something else.
    """
    from avssl.media.opening import open_media
    from avssl.media.selection import underlying

    if Path(table).suffix.lower() not in (".csv", ".tsv"):
        raise UserError(f"{table} is no CSV; the folds are a column of a CSV")
    rows = open_media(table, source_column=column)
    values: list[str] = []
    for i in range(len(media)):
        _, item = underlying(media, i)
        facts = rows.facts(item)
        if facts.path != media.facts(i).path:
            raise ValueError(f"{media.facts(i).path} is not the item in that row of {table}")
        if facts.source in (
            "",
            facts.path,
            os.path.relpath(facts.path, Path(table).absolute().parent),
        ):  # an empty cell
            raise UserError(f"{table} has no value for {facts.path} in its column {column!r}")
        # As it stands in the cell: a collection that was opened with this column has it as its source.
        values.append(facts.source)
    return values


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
            return [place / "JPEGImages" / f"{line.split()[0]}.jpg" for line in read_lines(file)]
    raise UserError(f"{folder} has no list {' or '.join(names)} in ImageSets/Main; copy it from the data set")


def voc_annotation(folder: str | Path, picture: Path) -> Path:
    """The annotation of a picture: where it lies in ``Annotations`` as the picture does in ``JPEGImages``."""
    parts = picture.parts
    # The last: a folder above may be called so, too.
    at = len(parts) - 1 - parts[::-1].index("JPEGImages") if "JPEGImages" in parts else len(parts) - 2
    return Path(folder, "Annotations", *parts[at + 1 :]).with_suffix(".xml")


def voc_truths(folder: str | Path, pictures: Sequence[Path]) -> dict[str, dict[str, int]]:
    """By path of the picture, for each class in it: 1, or −1 where all its objects are marked difficult (VOC's 0).

    Raises:
        UserError: an annotation is missing or damaged.
    """
    truths: dict[str, dict[str, int]] = {}
    for picture in pictures:
        file = voc_annotation(folder, picture)
        root = read_xml(file, "an annotation of VOC")
        row: dict[str, int] = {}
        for one in root.iter("object"):
            name = (one.findtext("name") or "").strip()
            sure = (one.findtext("difficult") or "0").strip() == "0"
            row[name] = 1 if sure or row.get(name) == 1 else -1
        truths[str(picture.absolute())] = row
    return truths
