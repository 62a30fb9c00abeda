"""Options and facts of runs as a table: differing ones first, equal ones after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 400  # Characters of a value; longer ones are cut


@dataclass(frozen=True)
class OptionTable:
    """Names with their values, one a run.

    Attributes:
        differing: those in which the runs that have them differ.
        partial: the others that not all runs have (options of another task); an empty text where there is none.
        equal: the others; of one run all.
    """

    differing: Sequence[tuple[str, Sequence[str]]]
    partial: Sequence[tuple[str, Sequence[str]]]
    equal: Sequence[tuple[str, str]]


def option_table(values: Sequence[Mapping[str, Any]]) -> OptionTable:
    """Compare the values of runs, one mapping a run; nested mappings get dotted names."""
    flat = [dict(flattened(each)) for each in values]
    # In the order of the first run that has each: options keep their groups.
    names = list(dict.fromkeys(name for each in flat for name in each))
    differing, partial, equal = [], [], []
    for name in names:
        texts = [value_text(each[name]) if name in each else "" for each in flat]
        there = {text for text in texts if text}
        if len(there) > 1:
            differing.append((name, texts))
        elif "" in texts:
            partial.append((name, texts))
        else:
            equal.append((name, texts[0]))
    return OptionTable(differing, partial, equal)


def flattened(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:  # an empty one is a value: "–"
            yield from flattened(value, f"{before}{name}.")
        else:
            yield before + str(name), value


def value_text(value: Any) -> str:
    """A value for people: "–" for nothing, lists with commas."""
    if value is None or value in ([], {}, ""):
        return "–"
    if isinstance(value, bool):  # before numbers: True is one
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        text = ", ".join(map(value_text, value))
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)"
