"""``avssl localize``: a video in; the same with heat where its sound comes from out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avssl.cli.options import Command, Option, Values
from avssl.errors import UserError
from avssl.system.console import progress, say


def run(argv: Sequence[str]) -> None:
    """Localize."""
    command = Command(
        "avssl localize",
        "Show where the sound of a video comes from: the video with its own sound, heat over each frame, and beneath\n"
        "it a trace of confidence over time. Beside OUT.mp4 go OUT.json (peaks and scores of the maps) and OUT.png\n"
        "(key moments). When nothing that is heard is in the picture it says so instead of pointing.\n"
        "Without --run it takes a model of the generated world, which knows eight drawn kinds of things and no\n"
        "others; without VIDEO a held-out clip of that world.",
        "avssl localize -o heat.mp4\navssl localize clip.mp4 -o heat.mp4\n"
        "avssl localize photo.jpg --sound bark.wav -o heat.mp4 --run runs/mine",
    )
    command.positional("video", "a video with sound, or a picture with --sound", optional=True)
    command.add(
        [
            Option("output", str | None, None, "the video to write, .mp4", "-o", "MP4"),
            Option("run", str | None, None, "the folder of a run of av-correspondence", metavar="RUN"),
            Option("sound", str | None, None, "sound of another file instead", metavar="FILE"),
            Option("threshold", float | None, None, "logit from which something counts as heard (default: the run's)"),
            Option("per_second", float, 8.0, "maps a second"),
            Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps"),
        ]
    )
    values = command.parse(argv)
    out = _checked(values)
    from avssl.experiment.default_localizer import default_run
    from avssl.experiment.example_clip import example_clip
    from avssl.localization.scenes import open_scene

    # The file first: a bad one should not wait for a model.
    scene = open_scene(values["video"], values["sound"]) if values["video"] else None
    from avssl.localization.demo import show_scene
    from avssl.localization.localizer import open_localizer
    from avssl.trainer.devices import choose_device

    folder = values["run"] or str(default_run())
    scene = scene or open_scene(str(example_clip(Path(folder))), None)
    localizer = open_localizer(folder, choose_device(values["device"]))
    if values["threshold"] is not None:
        localizer.threshold = values["threshold"]
    shown = show_scene(scene, localizer, out, bar=progress, per_second=values["per_second"], run=folder)
    say(f"{scene.name}: {shown.verdict}")
    say(f"{shown.video}, {shown.facts.name} with peaks and scores, {shown.moments.name} with key moments")


def _checked(values: Values) -> Path:
    if values["output"] is None:
        raise UserError("avssl localize wants -o OUT.mp4, the video to write")
    out = Path(values["output"])
    if values["sound"] is not None and values["video"] is None:
        raise UserError("--sound wants a picture or a video to go with: avssl localize photo.jpg --sound bark.wav -o …")
    if out.suffix.lower() != ".mp4":
        raise UserError(f"-o {out} must end in .mp4")
    for name in ("video", "sound"):
        if values[name] is not None and out.absolute() == Path(values[name]).absolute():
            raise UserError(f"-o {out} is the input itself; name another file")
    if not 0 < values["per_second"] <= 120:
        raise UserError(f"--per-second ({values['per_second']}) must be more than 0 and at most 120")
    return out
