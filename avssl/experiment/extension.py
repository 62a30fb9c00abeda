"""Extending a finished run by more steps, as if they had been asked for at first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avssl.errors import UserError
from avssl.system.console import counted
from avssl.trainer.options import TrainOptions
from avssl.trainer.run_folder import read_options


def steps_before(folder: Path, options: TrainOptions) -> int | None:
    """How many steps the run there was asked for, if that is fewer than are asked for now.

    Raises:
        UserError: its config.yaml is damaged; more steps would have made another training from its beginning on.
    """
    there: Mapping[str, Any] = read_options(folder / "config.yaml")
    before, now = there.get("steps"), options.steps
    # Of epochs and minutes nobody knows beforehand how many steps they were.
    if not isinstance(before, int) or now is None or now <= before:
        return None
    reason = _why_not(options, before, now)
    if reason is not None:
        raise UserError(
            f"{folder} was asked for {before} steps, now {now}: {reason}; give --steps {before} or another --out"
        )
    return before


def _why_not(options: TrainOptions, before: int, now: int) -> str | None:
    if options.schedule != "constant":
        return (
            f"with --schedule {options.schedule} the learning rate follows the number of steps, so that it would have "
            "been another from the first step on (--schedule constant can be extended)"
        )
    # As the schedule limits the warm-up; see avssl.trainer.schedule.
    if min(options.warmup_steps, before // 5) != min(options.warmup_steps, now // 5):
        return f"its warm-up would have been longer than {counted(before // 5, 'step')}"
    if options.keep == "best" and options.validation_puzzles and before % options.validate_every:
        return f"--keep best looked at step {before}, where the longer training has no validation"
    return None
