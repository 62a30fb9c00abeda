"""``avssl localize``: overlay a video with heat where its sound comes from."""

from __future__ import annotations

from collections.abc import Sequence

from avssl.cli.command import parsed
from avssl.experiment.localize import LocalizeOptions, localized
from avssl.system.console import log

WHAT = """Show where the sound of a video comes from: the video with its own sound, heat over each frame, and beneath
it a curve of confidence over time. Beside OUT.mp4 go OUT.json (peaks and scores of the maps) and OUT.png
(selected frames). Where nothing in the picture is heard, the video says so and shows no heat.
Without --run it takes a model of the generated world, which knows eight kinds of generated objects and no
others; without VIDEO a held-out clip of that world."""
EXAMPLE = """avssl localize -o heat.mp4
avssl localize clip.mp4 -o heat.mp4
avssl localize photo.jpg --sound bark.wav -o heat.mp4 --run runs/mine"""


def run(argv: Sequence[str]) -> None:
    """Localize."""
    shown = localized(parsed(argv, LocalizeOptions, "avssl localize", WHAT, EXAMPLE))
    log(f"{shown.scene}: {shown.verdict}")
    log(f"{shown.video}, {shown.facts.name} with peaks and scores, {shown.moments.name} with selected frames")
