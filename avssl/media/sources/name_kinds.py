"""File names of known data sets and devices, which contain the source of an item."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Name:
    folders: tuple[str, ...]
    stem: str

    @staticmethod
    def of(path: str) -> Name:
        pure = PurePosixPath(path.replace("\\", "/"))
        stem, suffix = pure.name, _SUFFIX.search(pure.name)
        while suffix is not None and suffix.start() > 0:  # NAME.mp4.wav, but not Film.part1.mkv
            stem = stem[: suffix.start()]
            suffix = _MEDIA_SUFFIX.search(stem)
        return Name(tuple(part for part in pure.parts[:-1] if part != "/"), stem)

    @property
    def folder(self) -> str:
        return "/".join(self.folders)


_SUFFIX = re.compile(r"\.(?=[A-Za-z])[A-Za-z0-9]{1,5}$|\.3gp$")
_MEDIA_SUFFIX = re.compile(
    r"\.(?:3gp|avi|flac|flv|gif|jpe?g|m4[av]|mkv|mov|mp[34]|mpe?g|ogg|opus|png|tar|tiff?|ts|wav|webm|webp|wm[av])$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Key:
    """A source, and the kind of name that it was read from."""

    kind: str
    source: str


def known_sources(names: Sequence[Name]) -> list[Key | None]:
    """The source of each item whose name is of a known kind; None of the others."""
    made = {name: _known_source(name) for name in dict.fromkeys(names)}
    known = [made[name] for name in names]
    _drop_accidents(known)
    _fill_in_ids(names, known)
    return known


# Names of data sets, with the source in the first group.
_PATTERNS = {
    # v_SoccerJuggling_g23_c01: clips of one group of a class come from one video (Soomro et al. 2012).
    "ucf101": r"(v_[A-Za-z]+_g\d{2})_c\d{2}",
    # 1-100032-A-0: fold, recording, take and class (Piczak 2015).
    "esc50": r"[1-5]-(\d{4,6})-[A-H](?:-\d{1,2})?",
    # 100032-3-0-0: recording, class, occurrence, slice (Salamon et al. 2014); four digits may be a year.
    "urbansound": r"(?!(?:19|20)\d\d-)(\d{4,6})-\d-\d{1,2}-\d{1,3}",
}


def _known_source(name: Name) -> Key | None:
    for kind, pattern in _PATTERNS.items():
        found = re.fullmatch(pattern, name.stem)
        if found is not None:
            return Key(kind, found[1])
    return _hmdb51(name) or _camera(name) or _numbered_folder(name)


def _hmdb51(name: Name) -> Key | None:
    """``TrumanShow_wave_f_nm_np1_fr_med_26``: the film stands before the class (Kuehne et al. 2011, meta labels)."""
    found = re.fullmatch(r"(.+)_[fhlu]_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|goo|med)_\d+", name.stem)
    if found is None:
        return None
    film_and_class = found[1]
    words = sorted(HMDB51 | set(name.folders[-1:]), key=len, reverse=True)
    for word in words:
        if film_and_class.endswith(f"_{word}"):
            return Key("hmdb51", film_and_class[: -len(word) - 1])
    return None


def _camera(name: Name) -> Key | None:
    """``GX020041``: chapter 02 of recording 0041 of a camera that cuts long recordings into chapters."""
    found = re.fullmatch(r"(G[HXL])(\d{2})(\d{4})", name.stem)
    return None if found is None else Key("chapters", f"{name.folder}/{found[1]}{found[3]}")


def _numbered_folder(name: Name) -> Key | None:
    """``5535415699068794046/00001.mp4`` (LRS2) and folders named by a digest: the folder is a video."""
    if name.folders and _NUMBER.fullmatch(name.stem) and re.fullmatch(r"\d{15,}|[0-9a-f]{24,}", name.folders[-1]):
        return Key("folder", name.folders[-1])
    return None


def _identity(name: Name) -> Key | None:
    """What may be a YouTube id in a name: ``ID_000010``, ``ID_10_20``, ``v_ID``, ``dog_ID_000010_gt``; or in the name
    of the folder of a number: ``id10270/5r0dWxy17C8/00001.wav`` (VoxCeleb, LRS3)."""
    found = _TAIL.fullmatch(name.stem)
    if found is not None and (found[1] in ("", "Y") or (found[1][-1] in "_-. " and is_id(found[2]))):
        return Key("id" if found[1] in ("", "Y") else "id in a name", found[2])
    if name.folders and len(name.folders[-1]) == 11 and _NUMBER.fullmatch(name.stem):
        return Key("id of a folder", name.folders[-1])
    return None


# Any prefix, the id, times or numbers, and words such as "gt".
_TAIL = re.compile(r"(.*?)([A-Za-z0-9_-]{11})((?:[_.-]-?\d+(?:\.\d+)?s?|\.mp4){0,5})(?:[_-][A-Za-z]+\d?)*?")
_NUMBER = re.compile(r"[A-Za-z]{0,6}_?\d+")


def _fill_in_ids(names: Sequence[Name], known: list[Key | None]) -> None:
    """Fill in YouTube ids, for each pattern of names if most of its ids look random."""
    built: dict[str, dict[int, str]] = defaultdict(dict)
    for i, name in enumerate(names):
        found = None if known[i] is not None else _identity(name)
        if found is not None:
            built[found.kind][i] = found.source
    for identities in built.values():
        different = set(identities.values())
        random = {identity for identity in different if is_id(identity)}
        if len(random) < 0.5 * len(different):
            continue  # a few words of 11 letters may look like ids
        nearly_all = len(different) >= 10 and len(random) >= 0.7 * len(different)
        for i, identity in identities.items():
            if identity in random or (nearly_all and len(_WORDS.findall(identity)) >= 2):
                known[i] = Key("youtube", identity)
    counts = Counter(key.source for key in known if key is not None and key.kind == "youtube")
    for i, name in enumerate(names):  # S01E02_seg3 has eleven characters, too: an id alone, once, is no evidence
        if known[i] == Key("youtube", name.stem) and counts[name.stem] == 1:
            known[i] = None


def is_id(text: str) -> bool:
    """Whether 11 characters look like random base 64, as YouTube's ids, and not like a name.

    88 % of such ids split into five words or more (``Word``, ``word``, ``WORD``, ``123``); ``Aaron_Smith`` and
    ``Experiment1`` have two, ``MyVacation2`` has three.
    """
    mixed = any(c.islower() for c in text) and any(c.isupper() for c in text)
    return mixed and len(_WORDS.findall(text)) >= 5


_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def _drop_accidents(known: list[Key | None]) -> None:
    """Drop kinds that only a few names seem to be of, by accident: digits and hyphens alone make up these patterns."""
    counts = Counter(key.kind for key in known if key is not None)
    accidents = {kind for kind in ("urbansound", "esc50", "chapters") if counts[kind] < 0.05 * len(known)}
    for i, key in enumerate(known):
        if key is not None and key.kind in accidents:
            known[i] = None


_CLASSES = (
    "brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat fall_floor fencing "
    "flic_flac golf handstand hit hug jump kick kick_ball kiss laugh pick pour pullup punch push pushup ride_bike "
    "ride_horse run shake_hands shoot_ball shoot_bow shoot_gun sit situp smile smoke somersault stand swing_baseball "
    "sword sword_exercise talk throw turn walk wave"
)
HMDB51 = frozenset(_CLASSES.split())  # the 51 classes, as its file names spell them
