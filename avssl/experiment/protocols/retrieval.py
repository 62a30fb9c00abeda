"""Retrieval of sounds for pictures and of pictures for sounds, with a page to see and hear it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avssl.evaluate.choices import BootstrapChoices
from avssl.experiment import sources as data_sources
from avssl.experiment.data import of_split
from avssl.experiment.learned import seen_by
from avssl.experiment.places import open_sourced
from avssl.experiment.protocols.base import ComputeOptions, RunOptions, Subject
from avssl.experiment.results import Beside, Outcome
from avssl.experiment.sources import SourceOptions
from avssl.options import option
from avssl.system.console import counted, progress
from avssl.system.files import whole_file


@dataclass(frozen=True)
class Retrieval(BootstrapChoices, ComputeOptions, SourceOptions, RunOptions):
    about = """Does the space where picture and sound meet bring together what belongs together? From each frame to the
    sounds of all of them, and back: recall at 1, 5 and 10, median rank and nDCG@30, beside the same network with random
    weights, shuffled pairs and chance. retrieval.html shows what is nearest, to be seen and played.

    Relevant for nDCG is what has the label of the query (in the generated world: a sounding kind in common)."""
    examples = """avssl evaluate retrieval --run runs/mine --data real-av/test.csv
    avssl evaluate retrieval --run runs/mine --data world/ -o results/world"""
    heading = "the protocol"
    needs_run = "--run RUN, the folder of a run of av-correspondence"
    needs_data = "--data D, held-out clips with sound"
    no_encoder = "it needs both encoders of a run, which were trained to embed what belongs together in one space"

    run: str | None = option(None, "the folder of a run of av-correspondence", metavar="RUN")
    data: str | None = option(None, "held-out clips with sound (of a folder with splits: its test part)")
    frames: int = option(1, "frames of each clip, each with the second of sound around it", low=1, formerly="moments")
    queries: int = option(8, "queries each way on the page", low=1)

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.data.encoders import untrained
        from avssl.evaluate.retrieval.protocol import embed_pairs, find_pairs, retrieval_rows
        from avssl.networks.model import load
        from avssl.report.retrieval_page import retrieval_page

        assert subject.run is not None and self.data is not None
        device = self.torch_device()
        model = load(subject.run)
        media, _ = open_sourced(self.data, None, self.mode)
        media = of_split(media, "test") or media  # data without splits are held out as a whole
        pairs = find_pairs(media, self.frames)
        found = {}
        for label, one in {"trained": model, "random": untrained(model, self.seed)}.items():
            with progress(f"embedding, {label}", "pair") as on_progress:
                found[label] = embed_pairs(one.to(device), media, pairs, on_progress)
        context = subject.context(name, self.seed, len(pairs.items), self.draws)

        def write_page(outcome: Outcome, path: Path) -> bool:
            shown = [row for row in outcome.rows if "own score" not in row.name]
            title = f"Retrieval: {outcome.title}"
            with whole_file(path, "w") as file:
                file.write(retrieval_page(media, pairs, found["trained"], shown, title, queries=self.queries))
            return True

        clips = f"{counted(len(pairs.items), 'pair')} of {counted(len(set(pairs.sources)), 'source')}"
        return Outcome(
            name=name,
            rows=retrieval_rows(found, pairs, context),
            title=f"{subject} on {clips} of {self.data}",
            place=self.data,
            seen=seen_by(subject.run, media, self.data, self.mode if self.mode in data_sources.MODES else "names"),
            beside=[Beside("page", ".html", write_page)],
        )
