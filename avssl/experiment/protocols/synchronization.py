"""The protocol of synchronization: by how much a sound is shifted against its picture."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.errors import UserError
from avssl.experiment.protocols.base import ComputeOptions, RunOptions, Subject
from avssl.experiment.protocols.pretext import held_out_part
from avssl.experiment.results import Beside, Outcome
from avssl.options import option
from avssl.system.console import counted, log


@dataclass(frozen=True)
class Synchronization(ComputeOptions, RunOptions):
    about = """Shift the sound of held-out clips against the picture, and find by how much: the offset with the largest
    score of a grid, beside random weights and answers that see nothing."""
    about_data = """Only moments in which something is heard are evaluated: events of the generated world's
    ground truth, elsewhere onsets of the sound; the others are left out and counted."""
    examples = """avssl evaluate synchronization --run runs/sync
    avssl evaluate synchronization --run runs/sync --data videos/ --moments 4"""
    needs_run = "--run RUN, the folder of a run of av-sync"
    no_encoder = "it is evaluated with what was trained to compare picture and sound"

    run: str | None = option(None, "the folder of a run of av-sync", metavar="RUN")
    data: str | None = option(None, "data to evaluate on (default: the run's own held-out part)")
    moments: int = option(2, "moments of each clip, at most", low=1)
    reach: float = option(0.4, "largest shift in seconds; a clip needs room for twice as much", above=0)

    def evaluate(self, subject: Subject, name: str) -> Outcome:
        from avssl.evaluate.core.result_charts import draw_shifts
        from avssl.evaluate.data.load_run import open_run
        from avssl.evaluate.pretext.controls import untrained
        from avssl.evaluate.pretext.offsets import find_moments, offset_rows, onset_in_the_middle, score_shifts
        from avssl.networks.synchronization import SyncNetwork
        from avssl.tasks.av_sync.task import AVSync

        assert subject.run is not None
        opened = open_run(subject.run, "av-sync")
        task, network = opened.task, opened.network
        assert isinstance(task, AVSync) and isinstance(network, SyncNetwork)
        test, seen = held_out_part(opened, self.data, subject)
        found = find_moments(test, task, self.reach, self.moments, self.seed)
        if not found.found:
            raise UserError(
                f"in none of {counted(len(test), 'clip')} is a moment with an event and room for shifts of "
                f"{2 * self.reach:g} s either way; give longer clips, or a smaller --reach"
            )
        log(f"{len(found.found)} of {found.listed} moments have an event ({found.events})")
        other = untrained(task, self.seed)
        assert isinstance(other, SyncNetwork)
        networks = {"trained": network, "untrained": other}
        scores = score_shifts(test, task, networks, found.found, self.torch_device())
        scores["blind/onset-in-the-middle"] = onset_in_the_middle(test, task, found.found)
        context = subject.context(name, self.seed, found.listed)
        clips = counted(len(test), "clip" if seen else "held-out clip")
        return Outcome(
            name=f"{name}-train" if seen.items else name,
            rows=offset_rows(scores, found, context),
            title=f"{subject} on {counted(len(found.found), 'moment')} of {clips}",
            place=self.data,
            seen=seen,
            beside=[Beside("picture", ".png", lambda outcome, path: draw_shifts(outcome.rows, path, outcome.heading))],
            own=True,
        )
