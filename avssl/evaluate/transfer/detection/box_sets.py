"""Pictures with boxes, as Pascal VOC and COCO lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from avssl.errors import UserError
from avssl.evaluate.data.reading import read_json_of, read_xml
from avssl.evaluate.data.split_files import is_voc, voc_annotation, voc_list
from avssl.evaluate.transfer.detection.box_precision import Truth
from avssl.media.decoding.images import still_size
from avssl.system.console import counted

# Names of training and test parts in VOC and COCO; the first that is there is used
TRAIN, TEST = ("trainval", "train"), ("test", "val")


@dataclass(frozen=True)
class BoxPicture:
    """A picture and what is in it; its labels are indices into the set's ``classes``."""

    picture: Path
    width: int
    height: int
    truth: Truth


@dataclass(frozen=True)
class BoxSet:
    """Pictures with boxes."""

    scenes: tuple[BoxPicture, ...]  # in the order of the list
    classes: tuple[str, ...]
    listed: int  # how many pictures the list has
    # Why pictures of the list are not among the scenes, and boxes not among the truths: one line each
    passed_over: tuple[str, ...] = ()

    @property
    def truths(self) -> list[Truth]:
        """Of the scenes."""
        return [scene.truth for scene in self.scenes]


def open_boxes(data: str | Path, test: str | Path | None = None) -> tuple[BoxSet, BoxSet]:
    """The training and the test part, with the same classes in the same order.

    Args:
        data: a folder laid out as VOC (``JPEGImages``, ``Annotations``, ``ImageSets/Main``) or as COCO
            (``annotations/instances_*.json``), or such a JSON file.
        test: another such place; without it the part "test" or "val" of ``data``.

    Raises:
        UserError: it is neither, an annotation is damaged, or a part has no object to find.
    """
    if test is None and Path(data).is_file():
        raise UserError(f"{data} is one part only; give held-out data with --test")
    parts = [_read(Path(data), TRAIN), _read(Path(test or data), TEST if test is None else (*TEST, *TRAIN))]
    # Of both parts: a class without an example to learn from is still to be found
    classes = tuple(sorted({one.name for part in parts for scene in part.scenes for one in scene.objects}))
    if not classes:
        raise UserError(f"{data} holds no box with an area; give pictures with boxes")
    train, evaluated = (_numbered(part, classes) for part in parts)
    for part, place in ((train, data), (evaluated, test or data)):
        if not any((~truth.ignored).any() for truth in part.truths):
            raise UserError(f"{place}: no picture of {part.listed} has an object to find that can be used")
    return train, evaluated


class _Object(NamedTuple):
    """What an annotation says of one object: its class is a name, and its box may reach beyond the picture."""

    box: tuple[float, float, float, float]
    name: str
    ignored: bool
    crowd: bool


@dataclass(frozen=True)
class _Named:
    """A scene whose classes are still names."""

    picture: Path
    width: int
    height: int
    objects: list[_Object]


@dataclass(frozen=True)
class _Part:
    scenes: list[_Named]
    listed: int
    passed_over: list[str]


def _read(place: Path, parts: Sequence[str]) -> _Part:
    if is_voc(place):
        scenes = [_voc_scene(place, picture) for picture in voc_list(place, *parts)]
    else:
        scenes = _coco_scenes(_coco_file(place, parts))
    kept: list[_Named] = []
    passed_over: list[str] = []
    for scene in scenes:
        reason = _unusable(scene)
        if reason is None:
            kept.append(_within(scene, passed_over))
        else:
            passed_over.append(f"{scene.picture}: {reason}")
    return _Part(kept, len(scenes), passed_over)


def _unusable(scene: _Named) -> str | None:
    if not scene.picture.is_file():
        return "no such picture"
    size = still_size(str(scene.picture))
    if size is None:
        return "not a picture that can be read"
    # Boxes are in pixels of the annotated size; a picture of another was scaled since, or is another one
    if size != (scene.width, scene.height):
        return f"{size[0]}×{size[1]} pixels, but its annotation says {scene.width}×{scene.height}"
    return None


def _within(scene: _Named, passed_over: list[str]) -> _Named:
    """The scene with its boxes cut at the picture's border; a box of which nothing is left is dropped."""
    kept: list[_Object] = []
    for one in scene.objects:
        left, top = max(0.0, one.box[0]), max(0.0, one.box[1])
        right, bottom = min(scene.width, one.box[2]), min(scene.height, one.box[3])
        if right > left and bottom > top:
            kept.append(one._replace(box=(left, top, right, bottom)))
    if len(kept) < len(scene.objects):
        passed_over.append(f"{scene.picture}: {counted(len(scene.objects) - len(kept), 'box')} without area")
    return replace(scene, objects=kept)


def _numbered(part: _Part, classes: Sequence[str]) -> BoxSet:
    """The part with indices into the classes instead of their names."""
    index = {name: k for k, name in enumerate(classes)}
    scenes: list[BoxPicture] = []
    for one in part.scenes:
        boxes = np.array([each.box for each in one.objects], np.float32).reshape(-1, 4)
        labels = np.array([index[each.name] for each in one.objects], np.int64)
        ignored = np.array([each.ignored for each in one.objects], bool)
        crowd = np.array([each.crowd for each in one.objects], bool)
        scenes.append(BoxPicture(one.picture, one.width, one.height, Truth(boxes, labels, ignored, crowd)))
    return BoxSet(tuple(scenes), tuple(classes), part.listed, tuple(part.passed_over))


def _voc_scene(folder: Path, picture: Path) -> _Named:
    """VOC's corners are numbers of pixels from 1 on that belong to the box: pixel 1 reaches from 0 to 1."""
    file = voc_annotation(folder, picture)
    root = read_xml(file, "an annotation of VOC")
    try:
        named = (root.findtext("filename") or "").strip()
        if not picture.is_file() and (picture.parent / named).is_file():
            picture = picture.parent / named  # a set made by others may hold PNGs
        width, height = (int(float(_text(root, f"size/{side}"))) for side in ("width", "height"))
        objects = []
        for one in root.iter("object"):
            left, top, right, bottom = (
                float(_text(one, f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")
            )
            difficult = (one.findtext("difficult") or "0").strip() not in ("0", "")
            objects.append(_Object((left - 1, top - 1, right, bottom), _text(one, "name"), difficult, False))
    except ValueError as error:
        raise UserError(f"{file} cannot be read as an annotation of VOC ({error})") from None
    return _Named(picture, width, height, objects)


def _text(node: ElementTree.Element, path: str) -> str:
    found = (node.findtext(path) or "").strip()
    if not found:
        raise ValueError(f"it has no {path}")
    return found


def _coco_file(place: Path, parts: Sequence[str]) -> Path:
    if place.is_file():
        return place
    for part in parts:
        found = sorted((place / "annotations").glob(f"instances_{part}*.json"))
        if found:
            return found[-1]  # of several years the last
    raise UserError(
        f"{place} is laid out neither as VOC (JPEGImages, Annotations, ImageSets/Main) nor as COCO "
        f"(annotations/instances_{parts[0]}.json)"
    )


def _coco_scenes(file: Path) -> list[_Named]:
    value: dict[str, Any] = read_json_of(file, "instances of COCO")
    try:
        names = {one["id"]: str(one["name"]) for one in value["categories"]}
        folder = _coco_pictures(file, [one["file_name"] for one in value["images"]])
        scenes = {
            one["id"]: _Named(folder / one["file_name"], int(one["width"]), int(one["height"]), [])
            for one in value["images"]
        }
        for one in value["annotations"]:
            x, y, width, height = map(float, one["bbox"])
            box, crowd = (x, y, x + width, y + height), bool(one.get("iscrowd", 0))
            scenes[one["image_id"]].objects.append(_Object(box, names[one["category_id"]], crowd, crowd))
    except (ValueError, KeyError, TypeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{file} cannot be read as instances of COCO ({what})") from None
    return list(scenes.values())


def _coco_pictures(file: Path, names: Sequence[str]) -> Path:
    """The folder with the pictures: named as the part (``train``, ``val2017``), under ``images`` or not."""
    part, root = file.stem.removeprefix("instances_"), file.parent
    above = root.parent
    places = [above / part, above / "images" / part, root / part, above / "images", root / "images", root, above]
    for folder in places:
        if names and (folder / names[0]).is_file():
            return folder
    return places[0]
