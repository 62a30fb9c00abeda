"""Facts of all items as columns: which items have a text is found without making all the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avssl.media.facts import Facts
from avssl.media.indexing.columns import Columns, ColumnWriter


def test_a_text_is_found_whole_and_not_within_another():
    rows: list[bytes] = []
    writer = ColumnWriter(rows.append)
    made = Facts("a.mp4", "video", 2.0, 8, 8, 20, 10.0, 0, 0, 0.0, 0.0, source="")
    paths = ["a.mp4", "aa.mp4", "a.mp4.mp4", "é.mp4", "a.mp4"]
    for path in paths:
        writer.add(replace(made, path=path, label=path[:1]), path)
    texts, ends = writer.texts()
    columns = Columns(np.frombuffer(b"".join(rows), np.uint8), np.frombuffer(texts, np.uint8), ends)
    for path in (*paths, ".mp4", "gone", ""):
        assert columns.equal("path", path).tolist() == [path == other for other in paths]
    assert columns.equal("label", "a").tolist() == [True, True, True, False, True]
