"""The model that is taken where none is named: quickstart's, else one trained by its recipe, once, and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.experiment.generated import WORLD, count
from avssl.system.console import log
from avssl.system.files import cache_folder, locked, read_json
from avssl.world.settings import VERSION

QUICKSTART = Path("runs/quickstart")

# Where configs/small/av-correspondence-world.yaml, which a test compares, differs from the defaults.
RECIPE: dict[str, Any] = {
    "batch_size": 64,
    "steps": 700,
    "learning_rate": 0.002,
    "weight_decay": 0.01,
    "warmup_steps": 50,
    "validate_every": 100,
    "validation_puzzles": 256,
    "keep": "last",
    "precision": "fp32",
}


def default_run(to_point: bool = True) -> Path:
    """The run that localizes, searches and explores where none is named.

    Args:
        to_point: whether it must be made to point; to compare pictures with sounds any run of quickstart will do.

    Raises:
        UserError: the cache cannot be written.
    """
    if _ready(QUICKSTART) or (not to_point and (QUICKSTART / "encoders" / "fusion.json").exists()):
        log(f"no --run: {QUICKSTART}")
        return QUICKSTART
    run = cache_folder() / "models" / f"default-{VERSION}"
    if not _ready(run):
        with locked(run.parent, lambda: log(f"another process is training {run}; waiting for it")):
            if not _ready(run):  # asked again: the process that held the lock may have trained it
                _train(run)
    log(f"no --run: the model in {run}, which knows the generated world and nothing else")
    return run


def _ready(run: Path) -> bool:
    """Whether a finished run is there that points, and knows from which logit on something is heard."""
    fusion = read_json(run / "encoders" / "fusion.json")
    points = fusion is not None and fusion.get("config", {}).get("name") == "avol"
    return points and (run / "localization.json").exists()


def _train(run: Path) -> None:
    from avssl.experiment.train import train

    log(
        "no --run, and no model of the generated world yet: made once, in about eight minutes on two cores, three to "
        f"generate {count(WORLD):,} clips and five to train on them; --run RUN needs none"
    )
    train("av-correspondence", None, run, controls=False, **RECIPE)
    if not _ready(run):
        raise UserError(f"the training in {run} was stopped; the same command continues it")
