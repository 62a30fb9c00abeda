"""The default localizer: trained once on the generated world, and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.experiment.generated import LOCALIZATION_WORLD, count, localization_world
from avssl.system.console import log
from avssl.system.files import cache_folder, locked, read_json
from avssl.world.settings import VERSION

# As configs/small/localization-world.yaml, which a test compares.
RECIPE: dict[str, Any] = {
    "fusion": "avol",
    "vision_pools": 2,
    "silent_rows": 0.125,
    "min_loudness_db": -45,
    "batch_size": 64,
    "steps": 650,
    "learning_rate": 0.002,
    "weight_decay": 0.01,
    "warmup_steps": 50,
    "validate_every": 100,
    "validation_puzzles": 256,
    "keep": "last",
}


def default_run() -> Path:
    """The run to localize with where none is named: trained on clips of several objects and on noise alone.

    The run of ``make quickstart`` would not do: of clips with one thing each, and of no noise, a network learns neither
    to choose nor to say that nothing is heard.

    Raises:
        UserError: the cache cannot be written.
    """
    run = cache_folder() / "models" / f"localization-{VERSION}"
    if not _ready(run):
        with locked(run.parent, lambda: log(f"another process is training {run}; waiting for it")):
            if not can_localize(run):  # asked again: the process that held the lock may have trained it
                log(
                    "no --run, and no model of the generated world yet: made once, in about eight minutes on two "
                    f"cores, three to generate {count(LOCALIZATION_WORLD):,} clips and five to train on them; "
                    "--run RUN needs none"
                )
                _train(run, localization_world())
            # A training that was killed between the two leaves a run without its threshold.
            if not _ready(run):
                _fit_threshold(run, localization_world())
    log(f"no --run: the model in {run}, which knows the generated world and nothing else")
    return run


def can_localize(run: Path) -> bool:
    """Whether a finished run of avol is there."""
    fusion = read_json(run / "encoders" / "fusion.json")
    return fusion is not None and fusion.get("config", {}).get("name") == "avol"


def _ready(run: Path) -> bool:
    return can_localize(run) and (run / "localization.json").exists()


def _train(run: Path, clips: Path) -> None:
    from avssl.experiment.train import train

    # Without controls, which would more than double the time.
    train("av-correspondence", clips, run, controls=False, **RECIPE)
    if not can_localize(run):
        raise UserError(f"the training in {run} was stopped; the same command continues it")


def _fit_threshold(run: Path, clips: Path) -> None:
    """From which logit on something counts as heard."""
    from avssl.evaluate.localization.synthetic import fit_run_threshold
    from avssl.localization.localizer import open_localizer
    from avssl.media.opening import open_media

    fit_run_threshold(run, open_localizer(run), open_media(clips, split="validation"))
