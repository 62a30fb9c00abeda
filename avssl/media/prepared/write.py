"""``avssl prepare``: decode every file once, in order and in parallel, into a set with fast random access."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from avssl.errors import UserError
from avssl.media.collection import Collection
from avssl.media.facts import Media, Rejected
from avssl.media.indexing.item_table import Table, TableWriter, file_crc
from avssl.media.prepared.estimate import Estimate, estimate, estimated_bytes
from avssl.media.prepared.read import Prepared, facts_in, is_prepared, is_unfinished, shard_name, was_prepared
from avssl.media.prepared.shard import Job, Settings, part_folder, write_shard
from avssl.media.prepared.verify import verify
from avssl.media.selection import Subset, digest_of
from avssl.system.console import ShowProgress, counted, counting
from avssl.system.files import UNFINISHED, locked, read_json, whole_folder, write_json
from avssl.system.parts import WHOLE, Part
from avssl.system.process_pool import Lost, each, spare_cores
from avssl.system.scratch import ScratchFolder

SHARD_BYTES = 256 * 2**20  # about the largest that a shard grows; usual for WebDataset
SHARDS_AT_LEAST = 32  # if there are as many items, so that all cores have work to the end


def prepare(
    media: Media,
    out: str | os.PathLike[str],
    *,
    side: int | None = Settings.side,
    fps: float | None = Settings.fps,
    rate: int | None = Settings.rate,
    jpeg_quality: int = Settings.jpeg_quality,
    shard_size: int | None = None,
    workers: int | None = None,
    progress: ShowProgress = None,
) -> Prepared:
    """Write a prepared set: see :mod:`avssl.media.prepared.read` for what it holds.

    Each shard is written whole, and items are assigned to shards by their order alone, so that an interrupted
    run continues where it was. An item that cannot be decoded to its end is left out and named in ``rejected``.
    Several machines write shards side by side with :class:`PrepareWork`.

    Args:
        media: a collection from ``avssl.open``, or a part of it.
        out: folder to write; new, empty, or left by an interrupted run with the same options.
        side: pixels of the shorter side; larger pictures are scaled down. None keeps all sizes.
        fps: frames a second to keep. None keeps every frame.
        rate: samples a second of the stored sound, mono. None keeps each file's.
        jpeg_quality: 1 to 100.
        shard_size: items in a shard; None chooses.
        workers: processes; None takes all cores.
        progress: as in ``avssl.open``.

    Raises:
        UserError: ``out`` holds something else, the disk is full, or no item could be decoded.
    """
    work = PrepareWork.of(media, out, Settings(side, fps, rate, jpeg_quality), shard_size)
    work.do(WHOLE, workers, progress)
    return work.merged()


@dataclass(frozen=True)
class PrepareWork:
    """Writing the shards of a prepared set, all or in parts on several machines, and merging them into a set."""

    media: Collection | Subset
    folder: Path
    settings: Settings
    shard_size: int | None = None  # items in a shard; None chooses

    @staticmethod
    def of(media: Media, out: str | os.PathLike[str], settings: Settings, shard_size: int | None) -> PrepareWork:
        """Raises UserError where the media are prepared already."""
        if not isinstance(media, (Collection, Subset)) or not from_files(media):
            raise UserError("only media read from files can be prepared; these are prepared already")
        return PrepareWork(media, Path(out).expanduser().absolute(), settings, shard_size)

    unit: ClassVar[str] = "shard"

    @property
    def plan(self) -> dict[str, object]:
        """What ``plan.json`` in the folder must say: shards of another plan are not mixed with these."""
        of = digest_of(self.media.fingerprint, self.media.stamp)
        return {"of": of, "settings": asdict(self.settings), "shard_size": self.shard_size}

    @property
    def units(self) -> int:
        return len(self.jobs())

    def units_there(self) -> int:
        """Shards that are written, by whatever machine."""
        return sum(1 for _ in (self.folder / ".parts").glob("[0-9]*"))

    def jobs(self) -> list[Job]:
        media, count = self.media, len(self.media)
        by_bytes = count * SHARD_BYTES // max(estimated_bytes(media, self.settings), 1)
        size = self.shard_size or max(min(by_bytes, count // SHARDS_AT_LEAST), 1)
        return [
            Job(media.subset(range(first, min(first + size, count))), first, shard, self.folder, self.settings, {})
            for shard, first in enumerate(range(0, count, size))
        ]

    def estimate(self, part: Part, workers: int | None) -> tuple[int, Estimate] | None:
        """The number of items of a part that are not prepared yet, and what they will cost; None if there are none."""
        _refuse_foreign(self.folder, self.plan)
        jobs = self.jobs()
        waiting = [jobs[shard] for shard in part.range(len(jobs)) if not _is_whole(jobs[shard], quick=True)]
        if not waiting or is_prepared(self.folder):
            return None
        items = [i for job in waiting for i in range(job.first, job.first + len(job.media))]
        processes = min(spare_cores() if workers is None else workers, len(waiting))
        return len(items), estimate(self.media.subset(items), self.settings, processes)

    def do(self, part: Part, workers: int | None, progress: ShowProgress) -> None:
        """Write the shards of a part that are not there yet; raises UserError as :func:`prepare`."""
        # The whole is written by one process. Parts take no lock: on a shared disk a machine that dies may keep it.
        if part != WHOLE:
            _begun(self)
        with held(self) if part == WHOLE else nullcontext():
            if not is_prepared(self.folder):
                self.write(part, workers, progress)

    def write(self, part: Part, workers: int | None, progress: ShowProgress) -> None:
        """:meth:`do`, for callers that hold the folder."""
        jobs = self.jobs()
        mine = [jobs[shard] for shard in part.range(len(jobs))]
        with counting("preparing", sum(len(job.media) for job in mine), "item", progress) as done:
            _write_shards(mine, workers, done)

    def finish(self, workers: int | None, progress: ShowProgress) -> None:
        """Write all shards and merge them, for callers that hold the folder."""
        self.write(WHOLE, workers, progress)
        _merge(self)

    def merged(self) -> Prepared:
        """The set, once all shards are there; raises UserError where some are missing or damaged."""
        with held(self):
            if not is_prepared(self.folder):
                _merge(self)
                return Prepared(self.folder)
            verify(prepared := Prepared(self.folder))
        return prepared


@contextmanager
def held(work: PrepareWork, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Lock a folder that is new, empty, or of the same plan; raises UserError for any other."""
    _refuse_foreign(work.folder, work.plan)
    with locked(work.folder, waiting):
        _begun(work)
        yield


def _begun(work: PrepareWork) -> None:
    _refuse_foreign(work.folder, work.plan)
    if not is_prepared(work.folder) and read_json(work.folder / "plan.json") != work.plan:
        write_json(work.folder / "plan.json", work.plan)


def _refuse_foreign(folder: Path, plan: Mapping[str, object]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; give the name of a folder to write")
    if was_prepared(folder) and not is_unfinished(folder):
        raise UserError(f"{folder}: a prepared set whose index is missing or damaged; remove it and prepare it again")
    found = read_json(folder / "plan.json") if folder.is_dir() else None
    if found == plan:
        return
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        what = "holds a set prepared from other data or with other settings" if found else "is not empty"
        raise UserError(f"{folder}: {what}; remove it or choose another folder")


def _write_shards(jobs: list[Job], workers: int | None, done: Callable[[int], None]) -> None:
    waiting = []
    for job in jobs:
        if _is_whole(job):
            done(len(job.media))
        else:
            shutil.rmtree(part_folder(job.folder, job.shard), ignore_errors=True)
            waiting.append(job)
    again = []
    try:
        for place, answer in each(write_shard, waiting, workers, _patience):
            if isinstance(answer, Lost):
                again.append(waiting[place])
            else:
                done(len(waiting[place].media))
    except UserError:  # of one shard; others were being written when their processes were ended for it
        for job in waiting:
            for partial in job.folder.glob(f".{shard_name(job.shard)}.*{UNFINISHED}"):
                partial.unlink(missing_ok=True)
        raise
    for job in again:
        refused = _who_crashes(job, workers)
        for _, answer in each(write_shard, [replace(job, refused=refused)], workers, _patience):
            if isinstance(answer, Lost):
                raise UserError(f"{shard_name(job.shard)} cannot be written: {answer.reason}")
        done(len(job.media))


def _is_whole(job: Job, *, quick: bool = False) -> bool:
    """Whether an earlier run has written this shard and its part of the index; ``quick`` compares sizes alone."""
    path = job.folder / shard_name(job.shard)
    try:
        part = Table(part_folder(job.folder, job.shard))
        part.verify()
        size, crc = part.header.get("shard", (-1, -1))
    except UserError:  # none there, damaged, or of an earlier version
        return False
    return path.is_file() and path.stat().st_size == size and (quick or file_crc(path) == crc)


def _patience(job: Job) -> float:
    """Seconds after which a shard counts as hanging."""
    return 120 + sum(1 + 10 * job.media.facts(i).duration_seconds for i in range(len(job.media)))


def _who_crashes(job: Job, workers: int | None) -> dict[int, str]:
    """The items of a shard that crash their process, with the reasons: each is tried alone."""
    with ScratchFolder("shard") as scratch:
        alone = [Job(job.media.subset([i]), 0, i, scratch, job.settings, {}) for i in range(len(job.media))]
        answers = each(write_shard, alone, workers, _patience)
        return {i: answer.reason for i, answer in answers if isinstance(answer, Lost)}


def _merge(work: PrepareWork) -> None:
    """Merge the parts of the index; a folder with an index is a whole set."""
    media, folder, settings, jobs = work.media, work.folder, work.settings, work.jobs()
    missing = [job.shard for job in jobs if not _is_whole(job, quick=True)]
    if missing:
        names = ", ".join(map(shard_name, missing[:3])) + (" …" if len(missing) > 3 else "")
        raise UserError(
            f"{folder}: {len(missing)} of {counted(len(jobs), 'shard')} missing ({names}); run the parts that were not "
            "finished again (--part K/N), then --merge"
        )
    rejected = list(media.rejected)
    shards_there = []
    shutil.rmtree(folder / "index", ignore_errors=True)  # the rest of a damaged one
    with whole_folder(folder / "index") as unfinished, TableWriter(unfinished) as writer:
        count = 0
        for job in jobs:
            part = Table(part_folder(folder, job.shard))
            rejected += [Rejected(*pair) for pair in part.header["rejected"]]
            shards_there.append(part.header["shard"])
            for i in range(len(part)):
                times, item = writer.add_times(part.times(i)), part.item(i)
                writer.add_item(item, times, jpegs=part.jpegs(i), checks=part.checks(i))
                facts = facts_in(item)
                writer.add_facts(facts, facts.path)
            count += len(part)
        if not count:
            raise UserError(
                f"{folder}: none of the {counted(len(media), 'item')} could be decoded ({rejected[-1].reason})"
            )
        lost = [list(pair) for pair in rejected[len(media.rejected) :]]
        header = {
            "prepared": asdict(settings),
            "shards": shards_there,
            "fingerprint": digest_of(media.fingerprint, repr(settings), repr(lost)),
            "rejected": rejected,
        }
        writer.finish(header)
    shutil.rmtree(folder / ".parts", ignore_errors=True)
    for leftover in folder.glob(".shard-*"):  # of processes that were killed
        leftover.unlink()


def from_files(media: Collection | Subset) -> bool:
    return isinstance(media.base if isinstance(media, Subset) else media, Collection)
