"""An audit as one HTML page, and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from avssl.experiment.audit.findings import Finding, Findings, Verdict, chance_text, figure, per_cent
from avssl.experiment.audit.screen import SECTIONS, facts, of, short, verdict
from avssl.media.indexing.summary import relative
from avssl.media.sources import Likeness
from avssl.report.bars import Bar, Cell, Group
from avssl.report.page import environment
from avssl.version import __version__

LEADS = {
    "parts": "What a test item shares with training items can be memorised instead of learned.",
    "cues": "Cheap figures of a picture or a sound, none of what happens in it: of two sounds (or pictures, or "
    "clips), of its own source and of another, how often does one pick its own? Nothing was fitted on these sources.",
    "shortcuts": "A cue alone, read by a linear classifier: as the task is set; below, without its countermeasure.",
    "planted": "The answer was put into the puzzles of these data, and each control was trained on them for a moment; "
    "copies of test items were put into training. What does not find these would not find a real leak either.",
}
WORDS = {"parts": "Parts", "cues": "Cues", "shortcuts": "Shortcuts", "planted": "Planted leaks"}
_TONES: dict[Verdict, str] = {
    "ok": "other-0",
    "caught": "other-0",
    "leak": "val",
    "blind": "val",
    "warning": "other-2",
    "too few": "other-3",
}
_LISTED = 12  # files of a group; of more their number


def html(audit: Findings) -> str:
    """As :meth:`Audit.html`."""
    sections = []
    for key, title in SECTIONS.items():
        if rows := of(audit, key):
            group = Group("", "", "", "0 %", "100 %", [_cell(row) for row in rows])
            sections.append({"key": key, "title": title, "word": WORDS[key], "lead": LEADS[key], "group": group})
    template = environment().get_template("audit.html")
    return template.render(
        title=f"Audit of {audit.data}",
        test=audit.test,
        verdict=verdict(audit),
        facts=facts(audit),
        sections=sections,
        groups=[_together(one, audit.summary.root) for one in audit.found.groups],
        likely=[_together(one, audit.summary.root) for one in audit.found.warnings],
        makes=audit.makes,
        notes=audit.notes,
        seed=audit.seed,
        seconds=round(audit.seconds),
        version=__version__,
    )


def as_json(audit: Findings) -> dict[str, Any]:
    """As :meth:`Audit.as_json`."""
    found: dict[str, Any] = {
        "data": audit.data,
        "test": audit.test,
        "task": audit.task,
        "seed": audit.seed,
        "items": audit.items,
        "sources": audit.sources,
        "duplicates": audit.duplicates,
        "verdict": " ".join(verdict(audit)),
        "leaks": [row.as_json() for row in audit.leaks],
        "planted": [row.as_json() for row in audit.planted],
        "identity": [row.as_json() for row in audit.identity],
        "division": audit.division,
        "makes": [{"what": what, "items": count} for what, count in audit.makes],
        "groups": [one.as_json() for one in audit.found.groups],
        "likely": [one.as_json() for one in audit.found.warnings],
        "notes": list(audit.notes),
        "summary": audit.summary.as_json(),
    }
    # Tuples become lists, and NumPy's numbers text: the same as what is read back from a file of it.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _together(found: Likeness, root: str) -> tuple[str, list[str], int]:
    """Why, the first files within the data's folder, and how many there are."""
    return found.words, [relative(path, root) for path in found.paths[:_LISTED]], len(found.paths)


def _cell(row: Finding) -> Cell:
    notes = [row.note] if row.note else []
    if row.unguarded is not None and row.unguarded != (row.value, row.low, row.high):
        notes.insert(0, f"{figure(*row.unguarded)} without its countermeasure")
    return Cell(
        name=short(row),
        tone=_TONES[row.verdict],
        value=per_cent(row.value),
        interval="" if row.low == row.high else f"{per_cent(row.low)} – {per_cent(row.high)}",
        chance=chance_text(row.chance),
        n=str(row.n),
        mark=row.verdict,
        note="; ".join(notes),
        bar=Bar(_place(row.value), _place(row.low), _place(row.high), _place(row.chance), 0.0),
    )


def _place(share: float) -> float | None:
    return None if math.isnan(share) else round(100 * share, 2)
