"""Where the sound of a video comes from: a video with heat, a JSON of peaks and scores, a picture of some frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avssl.errors import UserError
from avssl.experiment.loading import load_torch
from avssl.experiment.places import refuse_missing
from avssl.options import REQUIRED, argument, build, option
from avssl.options.python_names import names_keywords
from avssl.system.hub import fetched_run

if TYPE_CHECKING:
    from avssl.experiment.run import Run
    from avssl.localization.demo import DemoFiles


@dataclass(frozen=True, kw_only=True)
class LocalizeOptions:
    """What is shown, with which model, and where it goes."""

    video: str | None = argument("a video with sound, or a picture with --sound", default=None)
    output: str = option(REQUIRED, "the video to write, .mp4", short="-o", metavar="OUT.mp4")
    run: str | None = option(None, "the folder of a run of av-correspondence, or hf://ORG/NAME", metavar="RUN")
    sound: str | None = option(None, "use the sound of this file instead", metavar="FILE")
    threshold: float | None = option(None, "smallest logit that counts as heard (default: the run's)")
    per_second: float = option(8.0, "maps a second", above=0, high=120)
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps")

    def check(self) -> None:
        """Raise :class:`UserError` for what is wrong at sight."""
        out = Path(self.output)
        if self.sound is not None and self.video is None:
            raise UserError(
                "--sound needs a picture or a video to go with: avssl localize photo.jpg --sound bark.wav -o …"
            )
        if out.suffix.lower() != ".mp4":
            raise UserError(f"-o {out} must end in .mp4")
        for name in (self.video, self.sound):
            if name is not None and out.absolute() == Path(name).absolute():
                raise UserError(f"-o {out} is the input itself; name another file")


@names_keywords
def localize(
    video: str | Path | None = None, run: str | Path | Run | None = None, *, out: str | Path, **options: Any
) -> DemoFiles:
    """Write a video with heat where its sound comes from, and beside it ``.json`` and ``.png``.

    Args:
        video: a video with sound, or a picture with ``sound=``; None is a held-out clip of the generated world.
        run: a run of av-correspondence, or its folder; None is a model of the generated world, trained once.
        out: the video to write, .mp4.
        options: further fields of :class:`LocalizeOptions`.

    Raises:
        UserError: an option that does not fit, a file or a run that cannot be read, a full disk.
    """
    given = {"video": video, "run": getattr(run, "path", run), "output": out, **options}
    return localized(build(LocalizeOptions, given))


def localized(options: LocalizeOptions) -> DemoFiles:
    """As :func:`localize`, by its options."""
    options.check()
    from avssl.localization.scenes import open_scene

    # What is not there first, then the file: a bad one should not wait for a model.
    refuse_missing(options.video, options.sound, options.run)
    scene = open_scene(options.video, options.sound) if options.video else None
    load_torch()
    from avssl.experiment.default_localizer import default_run
    from avssl.experiment.generated import example_clip
    from avssl.localization.demo import show_scene
    from avssl.localization.localizer import open_localizer
    from avssl.trainer.devices import choose_device

    folder = fetched_run(options.run) or str(default_run())
    # Of no video a clip of the run's own world, which it was not trained on.
    scene = scene or open_scene(str(example_clip(Path(folder))), None)
    localizer = open_localizer(folder, choose_device(options.device))
    # Else the run's own, which was fitted to validation clips.
    if options.threshold is not None:
        localizer.threshold = options.threshold
    return show_scene(scene, localizer, Path(options.output), per_second=options.per_second, run=folder)
