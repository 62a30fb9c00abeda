"""``avssl evaluate retrieval``: from pictures to sounds and back, with a page on which one sees and hears it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from avssl.cli.options import Command, Option, Values, source_options
from avssl.errors import UserError
from avssl.experiment import sources as data_sources
from avssl.experiment.data import open_sourced
from avssl.experiment.learned import seen_by
from avssl.experiment.results import places, write_rows
from avssl.system.console import progress, say
from avssl.system.files import whole_file

if TYPE_CHECKING:
    from avssl.evaluate.core.rows import ResultRow
    from avssl.media.facts import Media

NAME = "retrieval"
WHAT = """Does the space where picture and sound meet bring together what belongs together? From the frame of each
moment to the sounds of all of them, and back: recall at 1, 5 and 10, median rank and nDCG@30, beside the same network
with random weights, shuffled pairs and chance. retrieval.html shows what is nearest, to be seen and played.

Relevant for nDCG is what has the label of the query (in the generated world: a sounding kind in common)."""
EXAMPLE = """avssl evaluate retrieval --run runs/mine --data real-av/test.csv
avssl evaluate retrieval --run runs/mine --data world/ -o results/world"""


def run(argv: Sequence[str]) -> None:
    """Evaluate by retrieval."""
    values = _command().parse(argv)
    if values["run"] is None:
        raise UserError("avssl evaluate retrieval wants --run RUN, the folder of a run of av-correspondence")
    if values["data"] is None:
        raise UserError("avssl evaluate retrieval wants --data D, held-out clips with sound")
    for name in ("moments", "queries", "draws"):
        if values[name] < 1:
            raise UserError(f"--{name} ({values[name]}) must be at least 1")
    from avssl.evaluate.core.scores import Context
    from avssl.evaluate.core.training_overlap import marked
    from avssl.evaluate.retrieval.page import retrieval_page
    from avssl.evaluate.retrieval.protocol import embed_moments, find_moments, retrieval_rows
    from avssl.localization.untrained import untrained
    from avssl.networks.model import load
    from avssl.report.tables import print_rows
    from avssl.trainer.devices import choose_device

    device = choose_device(values["device"])
    model = load(values["run"])
    media = _test_part(open_sourced(values["data"], say, values["sources"], values["source_column"]))
    moments = find_moments(media, values["moments"])
    found = {}
    for name, one in {"trained": model, "random": untrained(model, values["seed"])}.items():
        with progress(f"embedding, {name}", "moments") as told:
            found[name] = embed_moments(one.to(device), media, moments, told)
    command = shlex.join(["avssl", "evaluate", NAME, *argv])
    context = Context(NAME, values["seed"], command, len(moments.items), draws=values["draws"])
    rows = retrieval_rows(found, moments, context)
    title = (
        f"{values['run']} on {len(moments.items)} moments of {len(set(moments.sources))} sources of {values['data']}"
    )
    mode = data_sources.asked(values["sources"], values["source_column"])
    seen = seen_by(values["run"], media, values["data"], say, mode if mode in data_sources.MODES else "names")
    rows, title = marked(rows, seen), f"{title}, {seen.words}" if seen else title
    print_rows(rows, title)
    shown = [row for row in rows if "own score" not in row.name]
    page = retrieval_page(media, moments, found["trained"], shown, f"Retrieval: {title}", queries=values["queries"])
    _write(values, rows, page)


def _command() -> Command:
    command = Command(f"avssl evaluate {NAME}", WHAT, EXAMPLE)
    command.add(
        [
            Option("run", str | None, None, "the folder of a run of av-correspondence", metavar="RUN"),
            Option("data", str | None, None, "held-out clips with sound (of a folder with splits: its test part)"),
            *source_options(),
            Option("output", str | None, None, "folder for rows and page (default: results/ of the run)", "-o", "DIR"),
            Option("moments", int, 1, "moments of each clip"),
            Option("queries", int, 8, "queries each way on the page"),
            Option("draws", int, 2000, "draws of the bootstrap"),
            Option("seed", int, 0, "of the random network and of what is dealt out"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    return command


def _test_part(media: Media) -> Media:
    from avssl.experiment.data import of_split

    return of_split(media, "test") or media


def _write(values: Values, rows: Sequence[ResultRow], page: str) -> None:
    stems = places(values["run"], values["output"], NAME, values["data"])
    for stem, file in zip(stems, write_rows(rows, stems, values["data"]), strict=True):
        beside = stem.with_name(f"{stem.name}.html")
        with whole_file(beside, "w") as open_file:
            open_file.write(page)
        say(f"rows in {file}, page in {beside}")
