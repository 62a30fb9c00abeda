"""What hours of video cost on paper: to look at, prepare, store, move and train on, from figures measured here.

python benchmarks/scale.py                               the table of docs/scale.md, from the figures in this file
python benchmarks/scale.py --measure --videos FOLDER     measures looking and preparing on videos of one's own first
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from common.measure import machine, table
from common.options import parse


@dataclass(frozen=True)
class Figures:
    """What was measured: a core of an Intel Xeon, 2026-11-27, the heavy videos of common/videos.py.

    Attributes:
        look_seconds: CPU seconds of the first look at an hour of video.
        prepare_seconds: CPU seconds of preparing an hour, all its frames.
        picture_bytes: a prepared picture, 256 pixels.
        sound_bytes: a second of prepared sound at 48 kHz.
        share: what a training is taken to reach of the bare loop's pairs a second.
    """

    look_seconds: float = 70.5
    prepare_seconds: float = 257.0
    picture_bytes: float = 41_438.0
    sound_bytes: float = 2 * 48_000
    share: float = 0.9


PAIRS_A_SECOND = {"L3-Net as published": 1_430, "AVE-Net as published, compiled": 8_730}
"""Of one H100, bare loop; a training's own figures are `make bench-gpu`'s."""
PUBLISHED_PAIRS = {"L3-Net as published": 60e6, "AVE-Net as published, compiled": 400 * 263_000}
"""Of configs/paper/av-correspondence-l3.yaml and -ave.yaml: 234,000 steps of 256; 400 epochs of 263,000 clips."""
CLIP_SECONDS = 10
"""Videos are cut into clips of so long by both recipes; an epoch is a pair of each."""
FRAMES_A_SECOND = 25


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process and of those that it started and that have ended."""

    def spent() -> float:
        own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime

    before = spent()
    work()
    return spent() - before


def measured(figures: Figures, videos: Path) -> Figures:
    """The first three figures on these videos."""
    from avssl.media.opening import open_media
    from avssl.media.prepared.write import prepare

    with tempfile.TemporaryDirectory() as folder:
        open_media(videos, index=Path(folder) / "first", workers=0, progress=False)  # imports what it needs
        look = cpu_seconds(lambda: open_media(videos, index=Path(folder) / "index", workers=0, progress=False))
        media = open_media(videos, index=Path(folder) / "index", workers=0, progress=False)
        facts = [media.facts(i) for i in range(len(media))]
        hours, frames = sum(f.duration_seconds for f in facts) / 3600, sum(f.frame_count for f in facts)
        out = Path(folder) / "prepared"
        making = cpu_seconds(lambda: prepare(media, out, side=256, rate=48_000, workers=0, progress=False))
        written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        pictures = written - hours * 3600 * figures.sound_bytes
    return replace(
        figures,
        look_seconds=look / hours,
        prepare_seconds=making / hours,
        picture_bytes=pictures / frames,
    )


def rows(figures: Figures, hours: float, gpus: int, gigabits: float) -> list[tuple[str, str]]:
    """What it comes to."""
    seconds, clips = hours * 3600, hours * 3600 / CLIP_SECONDS
    found = [
        ("indexing the files", f"{hours * figures.look_seconds / 3600:,.0f} CPU hours"),
        (
            "preparing them (decoding and encoding every frame)",
            f"{hours * figures.prepare_seconds / 3600:,.0f} CPU hours",
        ),
    ]
    for rate in (FRAMES_A_SECOND, 4, 1):
        stored = seconds * (rate * figures.picture_bytes + figures.sound_bytes)
        found.append(
            (f"prepared at {rate} frame{'s' if rate > 1 else ''} a second, with sound", f"{stored / 1e12:,.0f} TB")
        )
    each = figures.picture_bytes + figures.sound_bytes
    for name, bare in PAIRS_A_SECOND.items():
        speed = bare * figures.share
        found += [
            (f"{name}: the published training", f"{PUBLISHED_PAIRS[name] / speed / 3600:,.1f} GPU hours"),
            (f"{name}: an epoch, a pair of every clip", f"{clips / speed / 3600:,.0f} GPU hours"),
            (f"{name}: what {gpus} GPUs read", f"{gpus * speed * each * 8 / 1e9:,.1f} Gb/s"),
        ]
    moved = seconds * each * 8 / (gigabits * 1e9) / 3600
    found.append((f"transferring the set of one frame a second at {gigabits:g} Gb/s", f"{moved:,.0f} hours"))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1e6)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--gigabits", type=float, default=10.0, help="of the network, a second")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--videos", type=Path, help="folder of videos to measure on (default: the heavy ones)")
    asked = parse(parser)
    figures = Figures()
    if asked.measure:
        from common.videos import videos

        print(machine())
        figures = measured(figures, asked.videos or videos("heavy"))
    print(figures)
    print(table([f"{asked.hours:,.0f} hours of video", "cost"], rows(figures, asked.hours, asked.gpus, asked.gigabits)))


if __name__ == "__main__":
    main()
