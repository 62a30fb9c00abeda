"""Damage as disks, copies, editors and people do it: one seeded mutation of one file of a folder."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STRANGE: tuple[Any, ...] = (None, [], [1, 2], 0, -1, 1e308, "text", {}, True, [None], {"a": None})
"""Values of every kind that JSON has, to stand where another is expected."""

TEXTS = (b"null", b"[]", b"[1, 2]", b"0", b'"text"', b"{}", b"true", b"\xff\xfe", b"\n", b"{", b"<html></html>")


def mutate(folder: Path, seed: int) -> str:
    """Damage one file somewhere below ``folder``, as drawn from ``seed`` alone.

    The file is another one afterwards, or gone, or one too many. Hidden files are left alone.

    Returns:
        what was done, in one line.
    """
    dice = random.Random(seed)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path, folder)]
    path = dice.choice(files)
    for _ in range(100):
        before = path.read_bytes() if path.is_file() else None
        action = dice.choice(_actions(path))
        found = action(path, files, dice)
        if found and (not path.is_file() or path.read_bytes() != before or found.startswith("added")):
            return f"{path.relative_to(folder)}: {found}"
    raise AssertionError(f"nothing could be done to {path}")


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


Action = Callable[[Path, list[Path], random.Random], str]


def _actions(path: Path) -> list[Action]:
    every: list[Action] = [_flip, _flip, _overwrite, _cut, _empty, _delete, _swap, _copy_over, _append, _insert,
                           _replace, _folder_instead, _add]  # fmt: skip
    if path.suffix in (".json", ".jsonl", ".yaml", ".csv", ".txt", ".md"):
        every += [_double_line, _remove_line, _half_line, _replace]
    if path.suffix == ".json":
        every += [_strange_value] * 4 + [_remove_key] * 2
    if path.suffix == ".jsonl":
        every += [_strange_line] * 3
    if path.suffix == ".pt":
        every += [_other_object] * 4
    return every


# --- bytes ----------------------------------------------------------------------------------------------


def _flip(path: Path, files: list[Path], dice: random.Random) -> str:
    data = bytearray(path.read_bytes())
    if not data:
        return ""
    places = [dice.randrange(len(data)) for _ in range(dice.choice((1, 1, 4, 16)))]
    for place in places:
        data[place] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    return f"flipped a bit at {', '.join(map(str, places))}"


def _overwrite(path: Path, files: list[Path], dice: random.Random) -> str:
    data = path.read_bytes()
    if not data:
        return ""
    begin = dice.randrange(len(data))
    count = min(dice.choice((1, 8, 512, 4096)), len(data) - begin)
    filling = dice.choice((b"\0", b"\xff", b"0"))
    path.write_bytes(data[:begin] + filling * count + data[begin + count :])
    return f"overwrote {count} bytes from {begin} with {filling!r}"


def _cut(path: Path, files: list[Path], dice: random.Random) -> str:
    data = path.read_bytes()
    if not data:
        return ""
    left = dice.choice((dice.randrange(len(data)), len(data) - 1, max(len(data) - 48, 0)))
    path.write_bytes(data[:left])
    return f"cut to {left} of {len(data)} bytes"


def _empty(path: Path, files: list[Path], dice: random.Random) -> str:
    path.write_bytes(b"")
    return "emptied"


def _append(path: Path, files: list[Path], dice: random.Random) -> str:
    count = dice.choice((1, 8, 512))
    with path.open("ab") as file:
        file.write(dice.randbytes(count))
    return f"appended {count} bytes"


def _insert(path: Path, files: list[Path], dice: random.Random) -> str:
    data = path.read_bytes()
    place = dice.randrange(len(data) + 1)
    path.write_bytes(data[:place] + dice.randbytes(8) + data[place:])
    return f"inserted 8 bytes at {place}"


def _replace(path: Path, files: list[Path], dice: random.Random) -> str:
    text = dice.choice(TEXTS)
    path.write_bytes(text)
    return f"replaced by {text!r}"


# --- files ----------------------------------------------------------------------------------------------


def _delete(path: Path, files: list[Path], dice: random.Random) -> str:
    path.unlink()
    return "deleted"


def _swap(path: Path, files: list[Path], dice: random.Random) -> str:
    other = dice.choice(files)
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"swapped with {other.name}"


def _copy_over(path: Path, files: list[Path], dice: random.Random) -> str:
    alike = [other for other in files if other.suffix == path.suffix and other != path]
    other = dice.choice(alike or files)
    path.write_bytes(other.read_bytes())
    return f"overwritten with {other.name}"


def _folder_instead(path: Path, files: list[Path], dice: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder in its place"


def _add(path: Path, files: list[Path], dice: random.Random) -> str:
    other = path.with_name(dice.choice((f"{path.stem}-copy{path.suffix}", f"{path.name}.bak", f"copy of {path.name}")))
    shutil.copyfile(path, other)
    return f"added {other.name}"


# --- lines and values -----------------------------------------------------------------------------------


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _double_line(path: Path, files: list[Path], dice: random.Random) -> str:
    lines = _lines(path)
    if not lines:
        return ""
    place = dice.randrange(len(lines))
    path.write_bytes(b"".join([*lines[:place], lines[place], *lines[place:]]))
    return f"line {place + 1} doubled"


def _remove_line(path: Path, files: list[Path], dice: random.Random) -> str:
    lines = _lines(path)
    if not lines:
        return ""
    place = dice.randrange(len(lines))
    path.write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
    return f"line {place + 1} removed"


def _half_line(path: Path, files: list[Path], dice: random.Random) -> str:
    lines = _lines(path)
    if not lines or len(lines[-1]) < 2:
        return ""
    path.write_bytes(b"".join([*lines[:-1], lines[-1][: len(lines[-1]) // 2]]))
    return "the last line cut in half"


def _strange_line(path: Path, files: list[Path], dice: random.Random) -> str:
    lines = _lines(path)
    if not lines:
        return ""
    place, value = dice.randrange(len(lines)), dice.choice(STRANGE)
    lines[place] = json.dumps(value).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    return f"line {place + 1} replaced by {value!r}"


def _strange_value(path: Path, files: list[Path], dice: random.Random) -> str:
    return _in_json(path, dice, lambda holder, key: holder.__setitem__(key, dice.choice(STRANGE)), "another value")


def _remove_key(path: Path, files: list[Path], dice: random.Random) -> str:
    return _in_json(path, dice, lambda holder, key: holder.__delitem__(key), "removed")


def _in_json(path: Path, dice: random.Random, change: Callable[[Any, Any], None], words: str) -> str:
    try:
        whole = json.loads(path.read_bytes())
    except ValueError:
        return ""
    places = list(_places(whole, ""))
    if not places:
        return ""
    holder, key, name = dice.choice(places)
    change(holder, key)
    path.write_text(json.dumps(whole))
    return f"{name} {words}"


def _places(value: Any, name: str) -> Iterator[tuple[Any, Any, str]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key, f"{name}/{key}"
        yield from _places(value[key], f"{name}/{key}")


def _other_object(path: Path, files: list[Path], dice: random.Random) -> str:
    """A checkpoint that is one, but of something else, or lacks a part."""
    import torch

    try:
        state = torch.load(path, weights_only=True)
    except Exception:  # damaged already
        state = None
    choice = dice.randrange(3)
    if choice == 0 or not isinstance(state, dict) or not state:
        value = dice.choice(STRANGE)
        torch.save(value, path)
        return f"replaced by torch.save({value!r})"
    key = dice.choice(sorted(state))
    if choice == 1:
        del state[key]
        torch.save(state, path)
        return f"{key} removed"
    inner = state[key]
    if isinstance(inner, dict) and inner and dice.random() < 0.7:
        name = dice.choice(list(inner))
        inner[name] = dice.choice(STRANGE)
        key = f"{key}/{name}"
    else:
        state[key] = dice.choice(STRANGE)
    torch.save(state, path)
    return f"{key} another value"
