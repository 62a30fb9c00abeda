"""Sources by file names.

Names of known kinds (YouTube ids with times, VoxCeleb, UCF101, HMDB51, ESC-50, UrbanSound8K, chapters of cameras)
contain their source. Else a stem with a part number (``v067_p1``, ``clip-003_part2``) is one, if the names of the whole
collection confirm it: numbers are of parts only if many different stems have few each. A bare running number
(``video1``, ``frame_0001``) is never a part by itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from avssl.media.sources.name_kinds import Name, is_id, known_sources


@dataclass(frozen=True)
class NameGroups:
    sure: tuple[tuple[int, ...], ...]  # beyond doubt
    likely: tuple[tuple[int, ...], ...]  # by words for parts; something else has to agree
    # By numbers from 1 on after various stems (concert_1, concert_2, walk_1): no evidence by itself.
    bare: tuple[tuple[int, ...], ...] = ()


def name_groups(paths: Sequence[str], seconds: Sequence[float] | None = None) -> NameGroups:
    """Items whose names say that they were cut from one source.

    Args:
        paths: of all items; each name is interpreted in the light of the others.
        seconds: durations, 0 if unknown: items with a start and an end in their names must be as long.
    """
    made = {path: Name.of(path) for path in dict.fromkeys(paths)}  # of a million rows of a table only a few may differ
    names = [made[path] for path in paths]
    lengths = [0.0] * len(paths) if seconds is None else list(seconds)
    known = known_sources(names)
    sure: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(known):
        if key is not None:
            sure[f"{key.kind}\0{key.source}"].append(i)
    rest = [i for i, key in enumerate(known) if key is None]
    likely: dict[str, list[int]] = defaultdict(list)
    for family in (_by_times(names, lengths, rest), *_by_parts(names, rest)):
        for stem, items in family.stems.items():
            if len(items) > 1:
                (sure if family.sure else likely)[f"{family.kind}\0{stem}"] += items
    placed = {i for groups in (sure, likely) for items in groups.values() if len(items) > 1 for i in items}
    return NameGroups(_groups(sure), _groups(likely), _groups(_by_numbers(names, [i for i in rest if i not in placed])))


def _groups(found: Mapping[str, list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted(tuple(sorted(items)) for items in found.values() if len(items) > 1))


@dataclass
class _Family:
    """Names of one pattern: items by stem."""

    kind: str
    stems: dict[str, list[int]]
    sure: bool


# Words that mean a part of a whole after any stem.
_OF_ONE = ("part", "pt", "chunk", "segment", "seg", "piece", "cut", "excerpt", "section", "fragment")
# Words for parts and for running numbers alike: the stem must look like the name of one thing.
_OFTEN = ("p", "shot", "scene", "clip", "take", "c", "sc", "sh", "crop", "window")
# Stems of things that contain many recordings: their parts were not cut from one.
_HOLDERS = re.compile(
    r"(?:^|[^a-z])(?:cam|camera|device|phone|day|week|month|year|session|batch|set|fold|train|test|val|class|label|"
    r"category|disk|disc|folder|dir|user|group|run|dataset|data|sample|level|speaker|subject|person|actor)s?[ _-]*\d*$",
    re.IGNORECASE,
)

_PART = re.compile(
    r"(?P<stem>.*?[^\s_.(\[-])(?:[\s_.(\[-]+)(?P<word>[a-z]+)[\s_.-]?(?P<number>\d{1,4})(?:[\s_-]*of[\s_-]*\d+)?[)\]]?",
    re.IGNORECASE,
)
_GLUED = re.compile(r"(?P<stem>.*\d)(?P<word>part|pt|chunk|segment|seg|shot|scene)(?P<number>\d{1,4})", re.IGNORECASE)
_LETTER = re.compile(r"(?P<stem>.*?[^\s_.-])[\s_.-]+(?P<word>part)[\s_.-]?(?P<number>[a-h]|[ivx]{1,4})", re.IGNORECASE)
_FIRST = re.compile(
    r"(?P<word>part|pt|chunk|segment|seg)[\s_.-]?(?P<number>\d{1,4})[\s_.-]+(?P<stem>.+)", re.IGNORECASE
)
_OF = re.compile(
    r"(?P<stem>.*?[^\s_.(\[-])[\s_.(\[-]+(?P<number>\d{1,4})[\s_-]*(?P<word>of)[\s_-]*\d{1,4}[)\]]?", re.IGNORECASE
)


def _by_parts(names: Sequence[Name], items: Iterable[int]) -> list[_Family]:
    built: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for i in items:
        for pattern in (_OF, _PART, _GLUED, _LETTER, _FIRST):
            found = pattern.fullmatch(names[i].stem)
            word = "" if found is None else found["word"].lower()
            if found is not None and (word in _OF_ONE or word in _OFTEN or word == "of"):
                built[word].append((i, found["stem"], found["number"].lower()))
                break
    return [family for word, parts in built.items() if (family := _family(word, parts, names)) is not None]


def _family(word: str, parts: list[tuple[int, str, str]], names: Sequence[Name]) -> _Family | None:
    """Names with one word for parts; None where the numbers only count."""
    stems: dict[str, list[int]] = defaultdict(list)
    scope = _scope([(names[i], stem, number) for i, stem, number in parts])
    for i, stem, _ in parts:
        stems[scope(names[i], stem)].append(i)
    several = [len(group) for group in stems.values() if len(group) > 1]
    if not several or (len(stems) < 2 and word not in (*_OF_ONE, "of")):
        return None  # one stem for all: a running number
    bare = [stem for _, stem, _ in parts]
    classes = [_plain(stem) for i, stem, _ in parts if _plain(stem) == _plain("".join(names[i].folders[-1:]))]
    if len(classes) > 0.5 * len(parts) and not any(c.isdigit() for stem in classes for c in stem):
        return None  # dog/dog_part1: the class, not one dog
    holders = sum(_HOLDERS.search(stem) is not None for stem in bare) > 0.2 * len(bare)
    like_ids = sum(_names_one(stem) for stem in set(bare)) >= 0.8 * len(set(bare))
    of_one = word in (*_OF_ONE, "of")
    few_each = median(len(group) for group in stems.values()) <= max(_MANY_PARTS, len(stems))
    sure = (
        len(stems) > 1
        and not holders
        and (like_ids or of_one)
        and (few_each or (like_ids and of_one and len(stems) > _MANY_PARTS))
    )
    return _Family(word, stems, sure)


def _by_numbers(names: Sequence[Name], items: Iterable[int]) -> dict[str, list[int]]:
    """Stems followed by 1, 2, … (or 0, 1, … or a, b, …): many stems with few numbers each, and no gap."""
    stems: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for i in items:
        found = _NUMBERED.fullmatch(names[i].stem)
        if found is not None:
            number = int(found[2]) if found[2].isdigit() else _LETTERS.index(found[2].lower()) + 1
            stems[f"{names[i].folder}/{found[1]}"].append((number, i))
    kept = {}
    for stem, parts in stems.items():
        numbers = sorted(number for number, _ in parts)
        if 1 < len(parts) <= _FEW_NUMBERS and numbers in (list(range(len(parts))), list(range(1, len(parts) + 1))):
            kept[stem] = [i for _, i in parts]
    return kept if len(kept) >= _MANY_STEMS else {}


_LETTERS = "abcdef"
_NUMBERED = re.compile(rf"(.*?[^\s_.(-])[\s_.(-]+(\d{{1,3}}|[{_LETTERS}{_LETTERS.upper()}])\)?")
_FEW_NUMBERS, _MANY_STEMS = 6, 5
_MANY_PARTS = 4  # a stem with more parts than this, and than there are stems, rather has a running number


def _scope(parts: Sequence[tuple[Name, str, str]]) -> Callable[[Name, str], str]:
    """Stems are compared in the whole collection, or by folder if a stem with the same number occurs in several."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, stem, number in parts:
        seen[stem, number].add(name.folder)
    if any(len(folders) > 1 for folders in seen.values()):
        return lambda name, stem: f"{name.folder}/{stem}"
    return lambda name, stem: stem


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _names_one(stem: str) -> bool:
    """Whether a stem looks like the name of one thing: it contains a number, or random letters."""
    return any(c.isdigit() for c in stem) or (len(stem) >= 11 and is_id(stem[-11:]))


_BEFORE, _BETWEEN = r"(?P<stem>.*?[^\s_.@(\[-])[\s_.@(\[-]+", r"\s*(?:[_-]|to)\s*"
_TIMES = re.compile(
    rf"{_BEFORE}(?:t|s|start|from)?[_-]?(?P<start>\d+(?:\.\d+)?)s?{_BETWEEN}(?:t|e|end|to)?[_-]?"
    r"(?P<end>\d+(?:\.\d+)?)s?[)\]]?"
)
_CLOCK = r"(?:(\d{1,2})[.:-])?(\d{1,2})[.:-](\d{2})(?:[.,](\d{1,3}))?"
_CLOCKS = re.compile(rf"{_BEFORE}{_CLOCK}{_BETWEEN}{_CLOCK}[)\]]?")


def _by_times(names: Sequence[Name], lengths: Sequence[float], items: list[int]) -> _Family:
    """``film_10_20``, ``0001_American_Beauty_00.00.51.926-00.00.54.129``, for items as long as that."""
    stems: dict[str, list[int]] = defaultdict(list)
    fit = []
    for i in items:
        found = _CLOCKS.fullmatch(names[i].stem)
        if found is not None:
            parts = found.groups()[1:]
            start, end = _seconds(parts[:4]), _seconds(parts[4:])
        else:
            found = _TIMES.fullmatch(names[i].stem)
            if found is None:
                continue
            start, end = float(found["start"]), float(found["end"])
        fits = any(abs((end - start) * unit - lengths[i]) <= max(0.3, 0.1 * lengths[i]) for unit in (1, 0.001))
        fit.append(end > start and lengths[i] > 0 and fits)
        if fit[-1]:
            stems[found["stem"]].append(i)
    if not fit or sum(fit) < 0.8 * len(fit) or len(stems) < 2:
        return _Family("times", {}, False)
    return _Family("times", stems, True)


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = parts
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0) + float(f"0.{fraction or 0}")
