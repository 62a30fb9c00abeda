"""How long a search takes among many moments, and what a graph misses: synthetic unit vectors, in clusters.

python benchmarks/search.py [--rows 100000 1000000] [--folder /tmp/searched]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common.options import parse

import avssl.search.writing as writing
from avssl.media.facts import Facts
from avssl.search.files import write_index
from avssl.search.index import SearchIndex
from avssl.search.writing import Entry, write_files

DIMENSIONS, CLUSTERS, SPREAD = 128, 2000, 0.8
"""Two modalities share 2,000 centres; the cosine of two vectors of one centre is about 0.6."""
MOMENTS = 20
"""Of each item."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--without-graph", action="store_true", help="as without usearch: all rows are compared")
    options = parse(parser, rows=[2000], queries=20)
    if options.without_graph:
        writing.has_usearch = lambda: False  # type: ignore[attr-defined]
    for rows in options.rows:
        folder = options.folder or Path(tempfile.mkdtemp())
        print(json.dumps(measured(folder / f"{rows}", rows, options.queries)), flush=True)
        if options.folder is None:
            shutil.rmtree(folder)


def measured(folder: Path, rows: int, count: int) -> dict[str, Any]:
    """CPU seconds to write, to open and to search, and recall."""
    wrote = 0.0
    if not folder.exists():
        folder.mkdir(parents=True)
        began = time.process_time()
        write_synthetic(folder, rows)
        wrote = time.process_time() - began
    began = time.process_time()
    index = SearchIndex(folder)
    opened = time.process_time() - began
    queries = np.array(index.vectors("image")[:: rows // count][:count])
    began = time.process_time()
    index.search(queries[0], "audio", of="image")
    first = time.process_time() - began
    own = index.rows_of(path=index.rows[0].path)
    exact, truth = timed(lambda q: index.nearest(q[None], "audio", 10, own, exactly=True).rows[0], queries)
    approximate, found = timed(lambda q: index.nearest(q[None], "audio", 10, own).rows[0], queries)
    began = time.process_time()
    index.projection("image")
    return {
        "rows": rows,
        "write_s": round(wrote, 1),
        "megabytes": round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6),
        "open_s": round(opened, 3),
        "first_search_s": round(first, 3),
        "exact_ms": [round(1000 * float(np.percentile(exact, q)), 2) for q in (50, 95)],
        "search_ms": [round(1000 * float(np.percentile(approximate, q)), 2) for q in (50, 95)],
        "recall@10": round(float(np.mean([np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)])), 4),
        "graphs": index.header["graphs"],
        "map_s": round(time.process_time() - began, 2),
    }


def timed(search: Callable[[Any], Any], queries: Any) -> tuple[list[float], list[Any]]:
    """CPU seconds of each query, and its answer."""
    seconds, answers = [], []
    for query in queries:
        began = time.process_time()
        answers.append(search(query))
        seconds.append(time.process_time() - began)
    return seconds, answers


def write_synthetic(folder: Path, rows: int) -> None:
    """An index of this many moments that no network made."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    shifts = {kind: 0.5 * rng.standard_normal(DIMENSIONS, np.float32) for kind in ("image", "audio")}

    def vectors_of(entries: Any, old: Any) -> Iterator[tuple[Any, Any]]:
        draws = np.random.default_rng(1)
        for _ in entries:
            centre = centres[draws.integers(CLUSTERS)]
            vectors = {}
            for kind, shift in shifts.items():
                made = centre + shift + SPREAD * draws.standard_normal((MOMENTS, DIMENSIONS), np.float32)
                vectors[kind] = made / np.linalg.norm(made, axis=1, keepdims=True)
            yield np.arange(MOMENTS) + 0.5, vectors

    entries = [
        Entry(
            Facts(f"/videos/{n:06d}.mp4", "video", MOMENTS, 320, 240, 500, 25, 16000, 1, 0, MOMENTS, f"kind{n % 50}"),
            n, 0.0, 0, f"{n:032x}",
        )
        for n in range(rows // MOMENTS)
    ]  # fmt: skip
    writing._vectors_of = vectors_of  # type: ignore[assignment]
    header = {"weights": "", "every": 1.0, "run": "", "data": [], "items": len(entries), "skipped": []}
    write_index(folder, header, lambda place: write_files(place, entries, None, None))


if __name__ == "__main__":
    main()
