"""An audit as text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from avssl.experiment.audit.findings import Finding, Findings, chance_text, figure
from avssl.system.console import counted

WIDTH = 80
# Section → its title.
SECTIONS = {
    "parts": "What the test part has of training",
    "cues": "Cues for identity",
    "shortcuts": "Shortcuts, with countermeasures",
    "planted": "Planted leaks",
}
_NAME, _FIGURE, _CHANCE = 42, 16, 8  # columns; with the verdict and the gaps between they are WIDTH
_FILES = 3  # kinds of files that are named
_SILENT = ("ok", "caught", "too few")  # verdicts that need no explanation
_LEADS = {
    "parts": "share of the test items that have a twin in training",
    "cues": "of two sounds, pictures or clips: how often a cue picks that of its own source",
    "shortcuts": "how often the cue alone gives the right answer",
    "planted": "how often a control that is shown a planted leak is right",
}


def lines(audit: Findings) -> list[str]:
    """All of an audit, each line of 80 columns at most (but for long names of files)."""
    out = [f"Audit of {audit.data}", *([f"  tested on {audit.test}"] if audit.test else []), ""]
    for word, text in facts(audit):
        out += _wrapped(text, f"  {word:<12}")
    for key, title in SECTIONS.items():
        rows = of(audit, key)
        if rows:
            out += ["", _head(title, key), *_lead(key, rows), *[line for row in rows for line in _row(row)]]
    if audit.notes:
        out += ["", "Not measured, or measured on fewer items"]
        out += [line for note in audit.notes for line in _wrapped(note, "  ")]
    for sentence in verdict(audit):
        out += ["", *textwrap.wrap(sentence, WIDTH, break_on_hyphens=False)]
    return out


def facts(audit: Findings) -> list[tuple[str, str]]:
    """(word, text): what the data are."""
    summary = audit.summary.lines()
    found = [("items", summary[0].partition(": ")[2])]
    for line in summary[1:]:
        word, colon, rest = line.partition(": ")
        if not colon:
            found.append(("time", line))
        elif word in ("flagged", "rejected"):
            found.append((word, rest))
        else:
            found.append((word.split()[1], f"{word.split()[0]}: {rest}"))
    found.append(("sources", f"{audit.sources}, found by {audit.found.mode}"))
    found += [("", line) for line in audit.found.lines()]
    found.append(
        ("duplicates", f"{audit.duplicates} of {counted(audit.items, 'item')} are byte-identical copies of another")
    )
    files = [f"{count} × {words}" for words, count in audit.makes[:_FILES]]
    files += [f"{len(audit.makes) - _FILES} more kinds"] if len(audit.makes) > _FILES else []
    found.append(("files", "; ".join(files)))
    best = sorted(audit.identity, key=lambda row: -row.low)[:3]
    if best and best[0].low > best[0].chance:
        cues = ", ".join(f"{row.name.partition(' →')[0]} ({figure(row.value, row.low, row.high)})" for row in best)
        found.append(("cues", f"{cues} distinguish sources; chance is 50 %"))
    if audit.task:
        found.append(("task", audit.task))
    if audit.division:
        found.append(("tested on", audit.division))
    return found


def verdict(audit: Findings) -> list[str]:
    """The conclusion, a sentence for each kind of verdict."""
    leaks, warnings, few = (
        [row for row in audit.leaks if row.verdict == word] for word in ("leak", "warning", "too few")
    )
    out = [f"{counted(len(leaks), 'leak')}: {_listed(leaks)}." if leaks else "No leak was found."]
    if warnings:
        out.append(f"{counted(len(warnings), 'warning')}: {_listed(warnings)}.")
    if few:
        out.append(f"Too few sources to decide: {_listed(few)}.")
    blind = [short(row) for row in audit.planted if row.verdict == "blind"]
    if blind:
        out.append(f"Blind on these data: {', '.join(blind)}. At chance they prove nothing here.")
    unseen = [short(row) for row in audit.planted if row.verdict == "too few"]
    if unseen:
        out.append(f"Too few test sources for a control to rise above chance: {', '.join(unseen)}.")
    if audit.planted and not blind and not unseen:
        out.append("Each leak that was planted was caught.")
    return out


def short(row: Finding) -> str:
    """The name without the task, which the page names once."""
    _, colon, rest = row.name.partition(": ")
    return rest if colon and row.section in ("shortcuts", "planted") else row.name


def of(audit: Findings, section: str) -> list[Finding]:
    """The findings of a section."""
    return [row for row in (*audit.leaks, *audit.planted) if row.section == section]


def _head(title: str, key: str) -> str:
    value = "with (95 %)" if key == "shortcuts" else "share" if key == "parts" else "share (95 %)"
    return f"{title:<{_NAME + 2}}{value:>{_FIGURE}}{'chance':>{_CHANCE}}"


def _lead(key: str, rows: Sequence[Finding]) -> list[str]:
    asked = key != "cues" or any("→" in row.name for row in rows)
    return _wrapped(_LEADS[key], "  ") if asked else []


def _row(row: Finding) -> list[str]:
    name = textwrap.wrap(short(row), _NAME) or [""]
    out = [f"  {line}" for line in name[:-1]]
    shown = figure(row.value, row.low, row.high)
    out.append(f"  {name[-1]:<{_NAME}}{shown:>{_FIGURE}}{chance_text(row.chance):>{_CHANCE}}   {row.verdict}")
    # A note explains what is wrong; of shortcuts and planted leaks it says what was tried.
    notes = [row.note] if row.note and (row.verdict not in _SILENT or row.section in ("shortcuts", "planted")) else []
    if row.unguarded is not None and row.unguarded != (row.value, row.low, row.high):
        notes.insert(0, f"{figure(*row.unguarded)} without its countermeasure")
    return out + [line for note in notes for line in _wrapped(note, "      ")]


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _listed(rows: Sequence[Finding]) -> str:
    return ", ".join(short(row) for row in rows[:4]) + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")
