"""The model card of a run: figures with intervals and controls, data, limits, licence, and usage."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from avssl.evaluate.core.rows import ResultRow
from avssl.evaluate.pretext.controls import verdict
from avssl.report.option_tables import flattened, value_text
from avssl.report.protocols import in_order, protocol_of
from avssl.report.run_parts import RunParts
from avssl.report.tables import row_texts
from avssl.report.without_places import without_places

# Rows of one protocol that the card shows; the others are in its file.
MOST_ROWS = 40
# A licence that nobody has named: an identifier of the Hub.
UNKNOWN = "unknown"
_HEADERS = ("", "metric", "value", "95 % interval", "chance", "N", "")


def model_card(run: RunParts, repository: str, licence: str = UNKNOWN, pictures: Sequence[str] = ()) -> str:
    """The text of README.md: YAML that a hub reads, then Markdown for people. No path of this machine is in it.

    Args:
        repository: the name on the hub, "ORG/NAME".
        licence: licence of the weights, as the hub abbreviates it: "mit", "cc-by-4.0".
        pictures: names of pictures beside the card.
    """
    config: Mapping[str, Any] = without_places(dict(run.config))
    rows = {name: [_plain(row) for row in found] for name, found in run.rows.items()}
    tasks = config.get("tasks") or [config["task"]]
    parts = [
        f"# {_text(repository.partition('/')[2])}",
        f"Encoders trained without labels by {' and '.join(f'`{task}`' for task in tasks)} with "
        "avssl, self-supervised learning from videos.",
        _usage(run, repository),
        *_figures(rows),
        *(f"![{name.partition('.')[0]}]({name})" for name in pictures),
        *_data(run, config),
        *_limits(run, rows.get("controls", ())),
        _licence(licence),
        *_making(run, config),
    ]
    front = yaml.safe_dump(_metadata(run, repository, licence, rows, config), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(parts) + "\n"


def _metadata(
    run: RunParts,
    repository: str,
    licence: str,
    rows: Mapping[str, Sequence[ResultRow]],
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """As https://github.com/huggingface/hub-docs/blob/main/modelcard.md describes it."""
    tasks = config.get("tasks") or [config["task"]]
    pipeline = "feature-extraction" if run.hears else "image-feature-extraction"
    found: list[dict[str, Any]] = []
    for name in in_order(set(rows)):
        own = [row for row in rows[name] if row.name.startswith("trained") and not math.isnan(row.value)]
        data = next((row.data for row in own if row.data), str(config.get("data") or "generated world"))
        metrics = [
            {"type": row.metric, "name": f"{row.name}, {_company(row)}", "value": float(f"{row.value:.6g}")}
            for row in own
        ]
        if metrics:
            task = {"type": pipeline, "name": protocol_of(name).title}
            dataset = {"type": re.sub(r"[^\w.-]+", "-", data), "name": data, "split": own[0].split}
            found.append({"task": task, "dataset": dataset, "metrics": metrics})
    index = {"model-index": [{"name": repository.partition("/")[2], "results": found}]} if found else {}
    return {
        "license": licence,
        "library_name": "avssl",
        "pipeline_tag": pipeline,
        "tags": ["avssl", "self-supervised-learning", *map(str, tasks)],
        **index,
    }


def _company(row: ResultRow) -> str:
    _, _, _, interval, chance, number, _ = row_texts(row)
    words = [f"95 % {interval}" if not math.isnan(row.low + row.high) else "", f"chance {chance}" if chance else ""]
    return ", ".join([*filter(None, words), f"N {number}"])


def _plain(row: ResultRow) -> ResultRow:
    return replace(row, data=without_places(row.data), note=without_places(row.note), name=without_places(row.name))


def _usage(run: RunParts, repository: str) -> str:
    ask = "model.image(frames)" if run.hears else "model.vision(model.prepare_frames(frames))"
    gives = "(N, 128); model.audio(waveform, rate) likewise" if run.hears else "(N, C, h, w)"
    lines = [
        'import avssl  # pip install avssl, and its extra "hub"',
        f'model = avssl.load("hf://{repository}")',
        f"features = {ask}  # frames: uint8 (N, 3, H, W); features: {gives}",
    ]
    return "## How to use it\n\n" + "\n".join(["```python", *lines, "```"])


def _figures(rows: Mapping[str, Sequence[ResultRow]]) -> Iterator[str]:
    yield "## Figures"
    if not rows:
        yield "None: this run was neither compared with its controls nor evaluated."
    for name in in_order(set(rows)):
        protocol = protocol_of(name)
        yield f"### {_text(protocol.title)}"
        data = next((row.data for row in rows[name] if row.data), "")
        yield from filter(None, [protocol.about, f"Data: {_text(data)}." if data else ""])
        yield _table(_HEADERS, [row_texts(row) for row in rows[name][:MOST_ROWS]])
        if (more := len(rows[name]) - MOST_ROWS) > 0:
            yield f"{more} more rows are in `results/{name}.json`."


def _data(run: RunParts, config: Mapping[str, Any]) -> Iterator[str]:
    yield "## Data"
    named = config.get("data")
    yield f"Trained on {_text(named)}." if named else "Trained on clips that avssl generates (`avssl world`)."
    parts = _read(run, "data.json")
    counts = [(name, facts["items"]) for name, facts in parts.items() if isinstance(facts, dict) and "items" in facts]
    if counts:
        yield _table(("part", "items"), [(name, str(items)) for name, items in counts])
    sources = _read(run, "sources.json")
    if isinstance(count := sources.get("sources"), int):
        word = "source" if count == 1 else "sources"
        yield f"They come from {count} {word} (found by {_text(sources.get('found_by', '?'))})."


def _limits(run: RunParts, controls: Sequence[ResultRow]) -> Iterator[str]:
    yield "## Limits"
    said = verdict(controls)
    lines = [_text(said) if said else "No controls were made: nothing shows that the task was learned, or how."]
    seen = [row for found in run.rows.values() for row in found if row.seen]
    if seen:
        lines.append("Some figures are of data that were trained on in part; `results/` says of how many sources.")
    steps = max((int(line["step"]) for line in run.metrics), default=0)
    batch = run.config.get("batch_size")
    if steps and isinstance(batch, int):
        lines.append(
            f"It has seen {steps * batch:,} puzzles ({steps:,} steps of {batch}) of the data above, no others."
        )
    lines.append("Figures hold for data like those they were measured on. Nothing was measured about people or groups.")
    yield "\n".join(f"- {line}" for line in lines)


def _licence(licence: str) -> str:
    text = "No licence was named: ask its owner before use." if licence == UNKNOWN else f"Weights: {_text(licence)}."
    return f"## Licence\n\n{text} The data have licences of their own."


def _making(run: RunParts, config: Mapping[str, Any]) -> Iterator[str]:
    yield "## How it was made"
    versions = run.environment.get("versions")
    if isinstance(versions, dict):
        words = ", ".join(f"{_text(name)} {_text(version)}" for name, version in versions.items())
        yield f"{_text(run.environment.get('time', ''))}: {words}."
    rows = [(name, value_text(value)) for name, value in flattened(config)]
    yield f"<details><summary>All options</summary>\n\n{_table(('option', 'value'), rows)}\n\n</details>"


def _read(run: RunParts, name: str) -> dict[str, Any]:
    try:
        found = json.loads((run.path / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # of an earlier version there is none
        return {}
    return found if isinstance(found, dict) else {}


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: object) -> str:
    """A value as Markdown shows it, whatever signs it holds."""
    line = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", line)
