"""Reasons are counted by their kind: what is a single file's own does not divide them."""

from __future__ import annotations

import pytest

from avssl.media.facts import Facts, Rejected
from avssl.media.indexing.reasons import grouped, kind_of
from avssl.media.indexing.summary import summarize

KINDS = [
    ("damaged: data is missing at 3.32 s", "damaged: data is missing at 110.00 s", "damaged: data is missing"),
    ("unreadable at 0.10 s: Invalid data", "unreadable at 12.48 s: Invalid data", "unreadable: Invalid data"),
    (
        "truncated: 12 of 345 bytes are missing, it ends at 1.00 s of 3.00 s",
        "truncated: 9 of 77 bytes are missing, it ends at 0.40 s of 2.50 s",
        "truncated: … of … bytes are missing, it ends at … s of … s",
    ),
    (
        "damaged: the image cannot be decoded (image file is truncated (25 bytes not processed))",
        "damaged: the image cannot be decoded (decoder error -2 when reading)",
        "damaged: the image cannot be decoded",
    ),
    ("cannot open 'a b.mp4'", "cannot open 'c.mp4'", "cannot open …"),
]


@pytest.mark.parametrize(("one", "other", "kind"), KINDS)
def test_a_kind_has_no_times_numbers_or_names_of_a_single_file(one: str, other: str, kind: str) -> None:
    assert kind_of(one) == kind_of(other) == kind
    assert kind_of(kind) == kind


def test_different_reasons_stay_different_and_names_with_digits_stay_whole() -> None:
    pictures, sound = "damaged: none of its pictures can be decoded", "damaged: none of its sound can be decoded"
    assert kind_of(pictures) == pictures and kind_of(sound) == sound
    cut = "truncated: the index of this MP4 file is cut off"
    assert kind_of(cut) == cut


def test_forty_files_that_are_damaged_at_different_seconds_are_one_line_with_forty() -> None:
    class Forty:
        root = ""
        rejected = tuple(Rejected(f"{k}.mp4", f"damaged: data is missing at {k / 7:.2f} s") for k in range(40))

        def __len__(self) -> int:
            return 0

        def facts(self, i: int) -> Facts:
            raise IndexError(i)

    summary = summarize(Forty())  # type: ignore[arg-type]
    assert dict(summary.reasons) == {"damaged: data is missing": 40}
    assert summary.lines()[-1] == "rejected: 40 damaged: data is missing"


def test_reasons_that_are_all_alike_keep_their_figures() -> None:
    assert grouped(["not media"] * 2 + ["a JPEG 2000"] * 3) == {"a JPEG 2000": 3, "not media": 2}
    assert grouped(["ends at 1 s", "ends at 2 s", "not media"]) == {"ends": 2, "not media": 1}
