"""The smallest collection and run that every view of the page has something to show of, served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from small_runs import TINY, write_clip

from avssl.cli.main import main
from avssl.experiment.run import Run
from avssl.explore.app import make_app
from avssl.explore.guard import Guard
from avssl.explore.library import Library
from avssl.explore.server import listen
from avssl.search.building import update_index
from avssl.search.index import SearchIndex

CLIPS = 10
HOSTILE = "<img src=x onerror=alert(1)> & 100 %.mp4"


def make_library(folder: Path, fusion: str = "avol") -> Library:
    """A run of one step on some clips, one with a hostile name and one without sound, and an index of them."""
    videos = folder / "videos"
    for number in range(CLIPS):
        label = "odd" if number % 2 else "even"
        name = HOSTILE if number == CLIPS - 1 else f"{number:03d}.mp4"
        write_clip(videos / label / name, number, sound=number != 3)
    options = [
        "--out",
        str(folder / "run"),
        "--data",
        str(videos),
        "--fusion",
        fusion,
        "--steps",
        "1",
        "--rate",
        "8000",
    ]
    assert main(["train", "av-correspondence", *options, *TINY, "--device", "cpu", "--no-controls"]) == 0
    update_index(folder / "index", str(videos), str(folder / "run"), 0.5, workers=0, shown=False)
    return Library(SearchIndex(folder / "index"), Run(folder / "run"))


@contextmanager
def served(library: Library, guard: Guard | None = None) -> Iterator[str]:
    """The page at an address of this machine."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(library, guard or Guard()), log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
