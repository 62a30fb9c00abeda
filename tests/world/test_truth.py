"""Reading the truth: made by hand, so that every answer can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from avssl.errors import UserError
from avssl.world.truth import audible, boxes, read_truth, sounding_kinds, truth_bytes, visible_kinds

LEFT, RIGHT = [0.1, 0.2, 0.4, 0.6], [0.6, 0.2, 0.9, 0.6]
TRUTH = {
    "fps": 10,
    "frames": 4,
    "kinds_sounding": ["bell", "frog"],
    "objects": [
        {"kind": "bell", "sounding": True, "boxes": [LEFT, LEFT, None, LEFT], "heard": [[0.1, 0.2], [0.3, 0.4]]},
        {"kind": "drum", "sounding": False, "boxes": [RIGHT, None, None, RIGHT], "heard": []},
    ],
    "offscreen": [{"kind": "frog", "heard": [[0.25, 0.4]]}],
}


def test_the_frame_shown_decides_what_is_visible() -> None:
    assert visible_kinds(TRUTH, 0.0) == {"bell", "drum"}
    assert visible_kinds(TRUTH, 0.0999) == {"bell", "drum"}
    assert visible_kinds(TRUTH, 0.1) == {"bell"}
    assert visible_kinds(TRUTH, 0.25) == set()
    assert visible_kinds(TRUTH, 99.0) == visible_kinds(TRUTH, 0.3) == {"bell", "drum"}


def test_boxes_come_with_kind_and_whether_it_sounds() -> None:
    assert boxes(TRUTH, 0.05) == [("bell", True, tuple(LEFT)), ("drum", False, tuple(RIGHT))]


def test_a_kind_sounds_where_it_is_heard_for_fifty_milliseconds() -> None:
    assert sounding_kinds(TRUTH, 0.0, 0.1) == set()
    assert sounding_kinds(TRUTH, 0.0, 0.14) == set()
    assert sounding_kinds(TRUTH, 0.0, 0.15) == {"bell"}
    assert sounding_kinds(TRUTH, 0.2, 0.3) == {"frog"}
    assert sounding_kinds(TRUTH, 0.0, 0.4) == {"bell", "frog"}
    # Twice thirty milliseconds of one kind in a stretch are enough.
    assert sounding_kinds(TRUTH, 0.17, 0.33) == {"bell", "frog"}


def test_audible_is_whether_anything_sounds() -> None:
    assert audible(TRUTH, 0.1, 0.2)
    assert not audible(TRUTH, 0.0, 0.1)


def test_the_truth_lies_beside_its_clip(tmp_path: Path) -> None:
    (tmp_path / "clip.json").write_bytes(truth_bytes(TRUTH))
    assert read_truth(tmp_path / "clip.mp4") == TRUTH


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"label": "cat"}'])
def test_what_is_no_truth_is_refused_in_a_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "clip.json").write_bytes(content)
    with pytest.raises(UserError, match=r"clip\.json"):
        read_truth(tmp_path / "clip.mp4")
