"""The published annotation files of sound-source localization, as one kind of item.

    vggss.json                       [{"file", "class", "bbox": [[x0, y0, x1, y1], …]}], shares of the frame (VGG-SS)
    synthetic3240_bbox.json, …       [{"image", "audio", "gt_box": [x0, y0, x1, y1]}], pixels of 224×224 (IS3, VPO,
                                     AVSBench boxes)
    Annotations/ID.xml               three annotators' boxes, pixels of 256×256 (Flickr-SoundNet)
    vggss_test_plus_silent.csv       video,audio,label: pairs without a source in sight (SLAVC's extended sets)

The rule for boxes: corners beyond the frame are clipped to it; a box that then has no pixels on the 224×224 grid
(right ≤ left or bottom ≤ top, never swapped: such values are overflows) is dropped and counted as degenerate. An
item left without a box stays: its overlap is 0, it is counted as empty truth, and pointing leaves it out.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from avssl.errors import UserError
from avssl.evaluate.data.joins import ByName
from avssl.evaluate.data.reading import read_json_of, read_text, read_xml
from avssl.evaluate.localization.metrics import Box, Floats, consensus, rasterise, union
from avssl.evaluate.localization.protocols import SIDE
from avssl.system.console import counted

# Endings that are no part of a name
SUFFIXES = {
    *(".mp4", ".avi", ".mkv", ".webm", ".mov", ".jpg", ".jpeg", ".png", ".webp", ".bmp"),
    *(".wav", ".ogg", ".flac", ".mp3", ".m4a", ".npy"),
}


@dataclass(frozen=True)
class Item:
    """One picture with one sound, and where that sound comes from."""

    name: str  # of the picture with this sound: the key of its map
    boxes: tuple[Box, ...]  # as written, in units of ``extent``; none for a negative
    extent: float  # what the frame measures in those units: 1, 224 or 256
    picture: str  # name of the picture; entries of one picture belong together (IIoU)
    sound: str
    cluster: str  # the source video: what is resampled
    label: str = ""  # class, if the file names one
    # Whether several boxes are several annotators' of one thing (consensus) or several things (union)
    agreed: bool = False
    negative: bool = False  # nothing in the picture makes this sound
    clip: str = ""  # where the pictures are frames of clips, the name that those of one clip share

    def truth(self, side: int = SIDE) -> Floats:
        """The weight of each pixel, (side, side)."""
        masks = [rasterise(box, side, self.extent) for box in self.boxes]
        return consensus(masks, side) if self.agreed else union(masks, side)

    @property
    def degenerate(self) -> int:
        """Boxes without a pixel on the published grid."""
        return sum(not rasterise(box, SIDE, self.extent).any() for box in self.boxes)


@dataclass(frozen=True)
class Annotations:
    """The items of a test set, and what was wrong with its files."""

    name: str
    items: tuple[Item, ...]  # in the order of the file; negatives last
    not_annotated: tuple[str, ...] = ()  # names of a list for which there are no boxes

    @property
    def positives(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.negative)

    @property
    def negatives(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.negative)

    def defects(self) -> Defects:
        """What the rule for boxes did."""
        boxes = sum(len(item.boxes) for item in self.items)
        bad = [item for item in self.items if item.degenerate]
        empty = [item.name for item in self.positives if item.degenerate == len(item.boxes)]
        return Defects(boxes, sum(item.degenerate for item in bad), len(bad), tuple(empty))


@dataclass(frozen=True)
class Defects:
    """Boxes, those without pixels, records that hold such, and the names that are left without any box."""

    boxes: int
    degenerate: int
    records: int
    empty: tuple[str, ...]

    def __str__(self) -> str:
        if not self.degenerate and not self.empty:
            return f"{counted(self.boxes, 'box')}, none of them degenerate"
        listed = ", ".join(self.empty[:4]) + (" …" if len(self.empty) > 4 else "")
        rest = f"; {counted(len(self.empty), 'item')} left without a box ({listed})" if self.empty else ""
        boxes, records = counted(self.boxes, "box"), counted(self.records, "record")
        return f"{boxes}, {self.degenerate} of them without area, in {records}{rest}"


def read_annotations(
    path: str | Path, *, wanted: str | Path | None = None, negatives: str | Path | None = None
) -> Annotations:
    """Read a test set.

    Args:
        path: an annotation file of one of the formats above, or a folder of Flickr-SoundNet's XML files.
        wanted: a list of names (one a line, or the first column of a CSV): only these items.
        negatives: a CSV ``video,audio,label`` of pairs without a source in sight.

    Raises:
        UserError: no such file, or it is of none of the formats; names the record.
    """
    place = Path(path)
    if place.is_dir():
        items = _flickr(place)
    else:
        records = _json_list(place)
        items = _records(place, records)
    missing: tuple[str, ...] = ()
    if wanted is not None:
        items, missing = _only(items, read_entries(wanted), str(wanted))
        if not items:
            raise UserError(f"none of the names in {wanted} is annotated in {place}; the first is {missing[0]!r}")
    if negatives is not None:
        items = [*items, *read_negatives(negatives, items)]
    return Annotations(place.stem, tuple(items), missing)


def read_entries(path: str | Path) -> list[str]:
    """The names of a list, with folders and suffixes: the first column of a CSV (with or without a header), or the
    first word of each line.

    Raises:
        UserError: it cannot be read, or names nothing.
    """
    text = read_text(path, "a list of names")
    rows = [row for row in csv.reader(text.splitlines()) if row and row[0].strip()]
    column = 0
    if rows and rows[0][0].strip().lower() in _HEADERS:
        head = [name.strip().lower() for name in rows[0]]
        column = next((head.index(name) for name in ("file", "filename", "path", "video") if name in head), 0)
        rows = rows[1:]
    entries = [row[column].split()[0] if len(row) == 1 else row[column] for row in rows if len(row) > column]
    if not entries:
        raise UserError(f"{path} is empty; write one name a line")
    return entries


def stem_of(name: str) -> str:
    """The name of a file without folders and without the suffix of a medium; ids may hold dots of their own."""
    pure = PurePosixPath(name.strip().replace("\\", "/"))
    return pure.stem if pure.suffix.lower() in SUFFIXES else pure.name


def clip_of(path: str) -> str:
    """The clip that a path or a name means: without folders and suffix, in the one spelling of :func:`clip_name`."""
    return clip_name(stem_of(path))


def clip_name(name: str) -> str:
    """A VGG-Sound clip by one name: ``ID_000032`` and ``ID_32000_42000`` are the same clip."""
    parts = name[_YOUTUBE:].split("_")
    milliseconds = len(parts) == 3 and parts[0] == "" and parts[1].isdigit() and parts[2].isdigit()
    if milliseconds and int(parts[1]) % 1000 == 0:
        return f"{name[:_YOUTUBE]}_{int(parts[1]) // 1000:06d}"
    return name


def source_of(name: str) -> str:
    """What a clip was cut from: YouTube id, UCF101 class and group, ESC-50 recording; else the name itself."""
    clip = clip_name(name)
    if len(clip) == _YOUTUBE + 7 and clip[_YOUTUBE] == "_" and clip[_YOUTUBE + 1 :].isdigit():
        return clip[:_YOUTUBE]
    recording = _ESC50.fullmatch(clip)
    if recording:
        return recording[1]
    group, _, last = clip.rpartition("_c")
    if group.startswith("v_") and last.isdigit() and "_g" in group:
        return group
    return clip


def read_negatives(path: str | Path, positives: Sequence[Item]) -> list[Item]:
    """The negatives of an extended set, with the class of both clips where the positives know it.

    Raises:
        UserError: the columns are not ``video,audio,label``.
    """
    rows = list(csv.DictReader(read_text(path, "a list of negatives").splitlines()))
    if not rows or not {"video", "audio"} <= rows[0].keys():
        raise UserError(f"{path}: negatives have the columns video,audio,label")
    labels = {item.picture: item.label for item in positives}
    made = []
    for row in rows:
        video, audio = row["video"], row["audio"]
        pair = sorted({labels.get(video, "?"), labels.get(audio, "??")})
        doubt = "own-sound" if video == audio else "same-class" if len(pair) == 1 and pair[0] else ""
        made.append(Item(f"{video}+{audio}", (), 1.0, video, audio, source_of(video), label=doubt, negative=True))
    return made


_HEADERS = {"file", "filename", "path", "video", "class", "clip", "name", "image"}
_YOUTUBE = 11  # characters of an id
_ESC50 = re.compile(r"[1-5]-(\d+)-[A-Z]-\d{1,2}")
IS3_SIDE = 224  # pixels a side that the boxes are written in
FLICKR_SIDE = 256  # likewise


def _json_list(path: Path) -> list[Any]:
    value = read_json_of(path, "annotations (a JSON list, or a folder of XML)")
    if not isinstance(value, list) or not value:
        raise UserError(f"{path}: an annotation file is a list of records, and this is none")
    return value


def _records(path: Path, records: list[Any]) -> list[Item]:
    first = records[0]
    make: Callable[[dict[str, Any]], Item]
    if isinstance(first, dict) and {"file", "bbox"} <= first.keys():
        make = _vggss
    elif isinstance(first, dict) and {"image", "gt_box"} <= first.keys():
        make = _is3
    else:
        raise UserError(f"{path}: records have neither file and bbox (VGG-SS) nor image and gt_box (IS3)")
    items = []
    written = [_written(record) for record in records]
    folders: dict[str, set[str]] = {}
    for folder, name in written:
        folders.setdefault(name, set()).add(folder)
    for number, record in enumerate(records):
        try:
            item = make(record)
            folder, name = written[number]
            items.append(_in_folder(item, folder) if len(folders[name]) > 1 and folder else item)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: record {number} cannot be read ({error!r})") from None
    return _named_apart(items)


def _written(record: Any) -> tuple[str, str]:
    """Folder and name of a record's picture, as they are written."""
    written = record.get("file", record.get("image", "")) if isinstance(record, dict) else ""
    name = str(written).strip().replace("\\", "/")
    folder = str(PurePosixPath(name).parent)
    return ("" if folder == "." else folder), clip_of(name)


def _in_folder(item: Item, folder: str) -> Item:
    """An item whose name other folders have, too: named with its own, so that neither is taken for the other."""
    name, picture = f"{folder}/{item.name}", f"{folder}/{item.picture}"
    sound = f"{folder}/{item.sound}" if item.sound == item.name else item.sound
    cluster = picture if item.cluster in (item.name, item.picture) else item.cluster
    clip = f"{folder}/{item.clip}" if item.clip else ""
    return replace(item, name=name, picture=picture, sound=sound, cluster=cluster, clip=clip)


def _vggss(record: dict[str, Any]) -> Item:
    name = stem_of(str(record["file"]))
    boxes = tuple(_box(values) for values in record["bbox"])
    return Item(name, boxes, 1.0, name, name, source_of(name), str(record.get("class", "")))


def _is3(record: dict[str, Any]) -> Item:
    name = stem_of(str(record["image"]))
    left, top, right, bottom = _box(record["gt_box"])
    box = (float(int(left)), float(int(top)), float(int(right)), float(int(bottom)))
    folder = PurePosixPath(str(record["image"]).replace("\\", "/")).parent.name
    if "AVSbench" in str(record["image"]):
        # Frames ID_1 … ID_5 of one clip.
        clip = name.rpartition("_")[0]
        return Item(name, (box,), IS3_SIDE, name, stem_of(str(record["audio"])), folder, clip=clip)
    # An IS3 picture has an entry for each of its sources, named by its last part.
    picture = name.rpartition("_")[0] or name
    return Item(name, (box,), IS3_SIDE, picture, stem_of(str(record.get("audio", name))), picture)


def _flickr(folder: Path) -> list[Item]:
    items = []
    for path in sorted(folder.glob("*.xml")):
        root = read_xml(path, "an annotation of Flickr-SoundNet")
        try:
            # Of a <bbox> the first child names the annotator, the others are left, top, right, bottom.
            boxes = [[int(child.text or "") for child in list(one)[1:5]] for one in root.iter("bbox")]
            made = tuple(_box(values) for values in boxes)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an annotation of Flickr-SoundNet ({error})") from None
        items.append(Item(path.stem, made, FLICKR_SIDE, path.stem, path.stem, path.stem, agreed=True))
    if not items:
        raise UserError(f"{folder}: no annotation (*.xml) is in this folder")
    return items


def _box(values: Iterable[Any]) -> Box:
    left, top, right, bottom = (float(v) for v in values)
    # Python reads NaN in JSON, and every comparison with it is false.
    if any(math.isnan(v) for v in (left, top, right, bottom)):
        raise ValueError("NaN in a box")
    return left, top, right, bottom


def _named_apart(items: list[Item]) -> list[Item]:
    """Entries that share a name (several records of one picture) get a number, so that each has a map."""
    seen: dict[str, int] = {}
    named = []
    for item in items:
        count = seen[item.name] = seen.get(item.name, 0) + 1
        named.append(item if count == 1 else replace(item, name=f"{item.name}#{count}"))
    return named


def _only(items: Sequence[Item], entries: Sequence[str], wanted: str) -> tuple[list[Item], tuple[str, ...]]:
    """The items that a list names, and what of it is not annotated."""
    index = ByName([item.name for item in items], clip_of)
    kept: list[Item] = []
    lost: list[str] = []
    for entry in entries:
        found = index.find(entry) or [i for i in index.find(stem_of(entry)) if "/" not in items[i].name]
        if len(found) > 1:
            raise UserError(
                f"{wanted}: {entry!r} could be {items[found[0]].name} and {items[found[1]].name}; write names there "
                "with their folders"
            )
        kept += [items[i] for i in found]
        if not found:
            lost.append(stem_of(entry))
    return kept, tuple(lost)
