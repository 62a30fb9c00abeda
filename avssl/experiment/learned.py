"""What a run was trained on, and the overlap with the items that it is evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avssl.errors import UserError
from avssl.experiment.data import options_of_run, trained_part
from avssl.system.console import counted, log

if TYPE_CHECKING:
    from avssl.evaluate.core.training_overlap import Seen
    from avssl.media.facts import Media


def seen_by(run: str | Path | None, data: Media | Sequence[str | Path], name: str | None, mode: str = "names") -> Seen:
    """How much of the data the encoders of a run learned from; logs it where they did. Nothing where there is no run.

    Args:
        run: the folder of the run, of one task or of several.
        data: what it is evaluated on, from ``name``; or files that are no collection (pictures with boxes or joints).
        mode: how sources that are in both are found; the same files are found by their bytes in any case.
    """
    from avssl.evaluate.core.training_overlap import Seen, seen_files, seen_in

    if run is None:
        return Seen()
    # Files without a collection (pictures with boxes) can only be known by their bytes.
    if not isinstance(data, Sequence):
        return _most(run, name, lambda part: seen_in(part, data, mode))
    files = [str(path) for path in data]
    return _most(run, name, lambda part: Seen(sum(seen_files(part, files)), len(files)))


def _most(run: str | Path, name: str | None, of_part: Callable[[Media], Seen]) -> Seen:
    from avssl.evaluate.core.training_overlap import Seen

    try:
        parts = [of_part(part) for part in training_media(run)]
    except UserError as error:  # the data of an old run may be gone; its evaluation need not fail for it
        log(f"cannot check whether {run} was trained on items in {name}: {error}")
        return Seen()
    # Of several tasks the one that saw the most: the encoder is theirs together.
    seen = max(parts, key=lambda one: (one.items, one.sources))
    if seen.items:
        log(
            f"{run} was trained on {seen.items} of the {counted(seen.of_items, 'item')} in {name}: "
            "these figures are not held-out"
        )
    elif seen.sources:
        log(
            f"{run} was trained on {seen.sources} of the {counted(seen.of_sources, 'source')} in {name}: "
            "these figures do not show how it does on new sources"
        )
    return seen


def training_media(run: str | Path) -> list[Media]:
    """What each task of a run was trained on, divided as the training divided it; nothing is prepared.

    Raises:
        UserError: the run or its data are gone or damaged.
    """
    from avssl.evaluate.data.load_run import run_tasks
    from avssl.experiment.generated import finished_world
    from avssl.trainer.run_config import config_of_task, read_config

    folder, parts = Path(run), []
    whole = read_config(folder)
    for task in run_tasks(folder):
        config = config_of_task(whole, folder, task.name)
        options = replace(options_of_run(config), prepare=False)
        # Nothing is generated for this check alone.
        if options.data is None:
            options = replace(options, data=str(finished_world()), sources="none", source_column=None)
        parts.append(trained_part(task, options, int(config.get("seed", 0)), bool(config.get("controls", True))))
    return parts
