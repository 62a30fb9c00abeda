"""What tests of sets that lie elsewhere compare."""

from __future__ import annotations

import numpy as np
from media.remote_servers import Server

from avssl.media.prepared.read import Prepared

SHARDS = 4


def shards_asked(server: Server) -> dict[str, int]:
    return {name: count for name, count in server.asked.items() if name.endswith(".tar")}


def same(there: Prepared, here: Prepared, items: range | None = None) -> bool:
    return all(
        np.array_equal(there.frames(i, [0.0, 0.55]), here.frames(i, [0.0, 0.55]))
        and np.array_equal(there.audio(i, 0.25, 0.5, 8000), here.audio(i, 0.25, 0.5, 8000))
        and there.annotation(i) == here.annotation(i)
        for i in items or range(len(here))
    )
