"""How soon the explorer shows a large collection, and what each request costs: CPU seconds of the server.

The collection is many segments of some videos, every one an item of its own, with vectors that no network made:
embedding them would take hours and change nothing here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common.options import parse
from common.videos import FPS, SECONDS, videos

import avssl
import avssl.search.embedding as embedding
from avssl.evaluate.retrieval.embedding import row_times
from avssl.media.facts import Media
from avssl.search.building import update_index

DIMENSIONS, CLUSTERS, SPREAD = 128, 2000, 0.8
LONGEST_SECONDS = 4.0
"""Of a segment; the shortest has one second."""
WARM_SECONDS = 30.0


def main() -> None:
    """Make the collection if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--run", type=Path, help="of av-correspondence (default: one of a single step)")
    options = parse(parser, items=200)
    with tempfile.TemporaryDirectory() as place:
        clips = sorted(videos("light").glob("?.mp4"))
        table, index = write_table(Path(place) / "clips.csv", clips, options.items), Path(place) / "index"
        run = options.run or trained(table, Path(place) / "run")
        embedding.embedded_items = embedded_by_nobody
        began = time.process_time()
        update_index(index, str(table), run, 10.0)
        print(f"index of {options.items:,} items made: {time.process_time() - began:.0f} CPU s", flush=True)
        measure(run, index)


def trained(table: Path, out: Path) -> Path:
    """A run whose network has learned nothing: what it is asked costs as much."""
    few = table.with_name("few.csv")
    few.write_text("\n".join(table.read_text().splitlines()[:40]))
    avssl.train("av-correspondence", few, out, fusion="avol", steps=1, batch_size=8, controls=False, prepare=False)
    return out


def write_table(path: Path, clips: Sequence[Path], items: int) -> Path:
    """Segments of some clips, no two alike, each a source of its own."""
    starts = round((SECONDS - LONGEST_SECONDS) * FPS)
    with path.open("w") as file:
        file.write("path,start,duration,label,source\n")
        for n in range(items):
            length, start = divmod(n // len(clips), starts)
            file.write(f"{clips[n % len(clips)]},{start / FPS},{length / FPS + 1},kind{n % 8},film{n:06d}\n")
    return path


def embedded_by_nobody(media: Media, items: Sequence[int], spacing: float, *_: Any) -> Iterator[embedding.Embedded]:
    """Unit vectors in clusters, for each item."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    for i in items:
        times = row_times(media.facts(i), spacing)
        made = {}
        for kind in ("image", "audio"):
            vectors = centres[i % CLUSTERS] + SPREAD * rng.standard_normal((len(times), DIMENSIONS), np.float32)
            made[kind] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        yield embedding.Embedded(i, list(times), made)


def measure(run: Path, index: Path) -> None:
    """Serve, ask, and print what each answer cost."""
    words = [sys.executable, "-m", "avssl", "explore", str(run), "--index", str(index), "--no-browser", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())
            assert found is not None
            spent = cpu_seconds_of(server.pid)
            print(f"address printed: {spent():.2f}")
            ask = asker(found[0], spent)
            for address in ("", "page/app.js", "api/about", "api/rows?first=0&count=60"):
                ask(address, 1)
            print(f"first page sent: {spent():.2f} in all", flush=True)
            time.sleep(WARM_SECONDS)  # torch is imported meanwhile
            about = json.loads(ask("api/about", 1))
            middle = about["moments"] // 2
            for address in (
                f"api/thumbnails/{middle}", f"api/rows?first={middle}&count=60", "api/map?kind=image",
                "api/groups?by=label", "api/groups?by=source",
                *(f"api/search/{row}?of=audio&kind=image&count=36" for row in (7, middle)),
            ):  # fmt: skip
                ask(address, 5)
        finally:
            server.send_signal(signal.SIGINT)


def cpu_seconds_of(process: int) -> Callable[[], float]:
    """What a process has spent so far (Linux)."""

    def spent() -> float:
        # The name, which may hold anything, ends with the last bracket; utime and stime are fields 14 and 15.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return spent


def asker(base: str, spent: Callable[[], float]) -> Callable[[str, int], bytes]:
    """A function that asks for an address several times and prints the first cost and the mean of the others."""

    def ask(address: str, times: int) -> bytes:
        costs = []
        for _ in range(times):
            before = spent()
            content: bytes = urllib.request.urlopen(base + address, timeout=600).read()
            costs.append(spent() - before)
        later = f", later {np.mean(costs[1:]):.3f}" if times > 1 else ""
        print(f"{address or 'the page':44} {len(content):9,} bytes  {costs[0]:.2f}{later}", flush=True)
        return content

    return ask


if __name__ == "__main__":
    main()
