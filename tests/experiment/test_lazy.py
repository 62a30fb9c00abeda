"""``import avssl`` costs next to nothing: what is heavy is found when it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys

import avssl

HEAVY = ("torch", "numpy", "av", "yaml", "jsonargparse", "matplotlib", "sklearn", "rich")


def test_it_is_imported_in_a_tenth_of_a_second_without_torch() -> None:
    best = float("inf")
    for _ in range(3):  # the quickest of three: the machine may be busy
        code = f"import avssl, sys; print([name for name in {HEAVY} if name in sys.modules])"
        words = [sys.executable, "-X", "importtime", "-c", code]
        message = subprocess.run(words, capture_output=True, text=True, check=True)
        assert message.stdout.strip() == "[]"
        line = next(line for line in message.stderr.splitlines() if re.search(r"\| avssl$", line))
        best = min(best, int(line.split("|")[1]) / 1e6)
    assert best < 0.1


def test_everything_it_offers_is_there() -> None:
    for name in avssl.__all__:
        assert getattr(avssl, name) is not None
    assert set(avssl.__all__) <= set(dir(avssl))
