"""The pretext protocols: a run's own puzzles, held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from avssl.experiment import sources as data_sources
from avssl.experiment.data import DataOptions, fast, of_split, parts_of, usable
from avssl.experiment.learned import seen_by
from avssl.experiment.places import open_source
from avssl.experiment.protocols.base import OutputOptions, RunOptions, Subject
from avssl.experiment.results import Outcome
from avssl.options import option
from avssl.system.console import counted, log, quiet

if TYPE_CHECKING:
    from avssl.evaluate.core.training_overlap import Seen
    from avssl.evaluate.data.load_run import TrainedTask
    from avssl.media.facts import Media


@dataclass(frozen=True)
class Pretext(OutputOptions, RunOptions):
    about = (
        """Evaluate a finished run on held-out data: rows with interval, chance and N, beside the untrained network."""
    )
    examples = """avssl evaluate av-correspondence --run runs/mine
    avssl evaluate av-correspondence --run runs/mine --data other-videos/ -o results/other"""
    no_encoder = "it is evaluated with the head that was trained with it, which an encoder alone has not"

    data: str | None = option(None, "data to evaluate on (default: the run's own held-out part)")
    puzzles: int = option(1024, "number of held-out puzzles", low=1)
    seed: int | None = option(None, "random seed of the puzzles (default: the run's)")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.core.training_overlap import marked
        from avssl.evaluate.data.load_run import open_run
        from avssl.evaluate.pretext.controls import run_controls, verdict
        from avssl.trainer.devices import choose_device

        assert subject.run is not None
        opened = open_run(subject.run, name)
        if not opened.finished:
            log(f"{opened.path} is not finished: evaluated as it is after {counted(opened.steps, 'step')}")
        test, seen = held_out_part(opened, self.data, subject)
        seed = opened.options.seed if self.seed is None else self.seed
        rows = run_controls(
            opened.task,
            opened.network,
            test,
            test,
            replace(opened.options, seed=seed),
            steps=0,  # no control is trained: those of the training stand in its results
            pairs=self.puzzles,
            device=choose_device(self.device),
            command=subject.command,
        )
        # What a run has learned from is no held-out figure of it: the file of those stays as it is.
        meaning = verdict(marked(rows, seen))
        return Outcome(
            name=f"{name}-train" if seen.items else name,
            rows=rows,
            title=f"{subject} on {len(test)} {'items' if seen else 'held-out items'}",
            place=self.data,
            seen=seen,
            notes=[meaning] if meaning else [],
            own=True,
        )


def held_out_part(run: TrainedTask, data: str | None, subject: Subject) -> tuple[Media, Seen]:
    """What is evaluated on: the run's own held-out part, or other data, prepared as those of the run were."""
    from avssl.evaluate.core.training_overlap import seen_in_part
    from avssl.evaluate.data.load_run import from_plain

    if data is None:
        parts = parts_of(run)
        assert parts.test is not None
        return parts.test, seen_in_part(parts.train, parts.test)
    files = open_source(data)
    with quiet():  # before they are prepared
        usable(files, run.task, data)
    found = data_sources.find(files, None, data_sources.DEFAULT).data
    media = data_sources.carried(found, files, fast(files, run.task, from_plain(DataOptions, run.config)))
    media = usable(media, run.task, data)
    test = of_split(media, "test") or media
    return test, seen_by(subject.run, test, data, data_sources.DEFAULT)
