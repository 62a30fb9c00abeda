"""``avssl.train``: a training from beginning to end, also behind the command of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from avssl.errors import UserError
from avssl.experiment.request import request_of
from avssl.networks.own_modules import named
from avssl.options.python_names import names_keywords

if TYPE_CHECKING:
    from avssl.experiment.dry_run import DryRun
    from avssl.experiment.request import AnyTask
    from avssl.experiment.run import Run


@overload
def train(
    task: AnyTask | Sequence[AnyTask],
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    dry_run: Literal[True],
    **options: Any,
) -> DryRun: ...


@overload
def train(
    task: AnyTask | Sequence[AnyTask],
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    dry_run: Literal[False] = False,
    **options: Any,
) -> Run: ...


@names_keywords
def train(
    task: AnyTask | Sequence[AnyTask],
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    config: str | Path | None = None,
    init: str | Path | None = None,
    command: str | None = None,
    dry_run: bool = False,
    **options: Any,
) -> Run | DryRun:
    """Train a pretext task, or several on the same encoders, and the controls that show what the accuracy is worth.

    Divides the data by source, prepares them, trains, evaluates the network and its controls on held-out puzzles, draws
    sheet and curves, and writes all of it into the folder of the run, as ``avssl train`` does. The same call again
    continues a run that was stopped.

    Args:
        task: the name of a task, or one made by :func:`avssl.task`; of several the list.
        data: the name of the data: a folder, a table, a tar, a prepared set. None: generated clips.
        out: the folder of the run; by default ``runs/TASK``.
        config: a YAML file of options; those given here override it.
        init: a run whose encoders are started from.
        command: what the result rows name as the command that repeats them; by default ``avssl train --config …``.
        dry_run: find out what would be done, try a few steps, and write no run.
        options: every option of the command, with underscores: ``steps=500``, ``fusion="avol"``. For several tasks
            also ``mix``, ``weights`` and those of ``avssl train multi-task``, and for each task the mapping of its
            own options: ``rotation={"side": 64}``. ``vision`` is also a function at the top level of a module that
            makes a network; a training needs one, not the network itself, since its controls begin with fresh weights.

    Returns:
        the run that was written; of a dry run what it would take (:class:`~avssl.experiment.dry_run.DryRun`).

    Raises:
        UserError: an option that is not there or makes no sense; data of which nothing can be used; a run in ``out``
            that was begun with other options or data.
    """
    if data is not None and not isinstance(data, str | PathLike):
        raise UserError(
            "avssl.train needs the name of the data, so that the config.yaml of the run can repeat it; a collection "
            "that is open already goes into avssl.PuzzleDataset"
        )
    options = named(options)
    # None is not given: a config's value, or the default, holds.
    places = {"data": data, "out": out, "init": init, "config": config}
    asked = {name: place for name, place in places.items() if place is not None} | options
    request = request_of(task, asked, command)
    request.check()
    if dry_run:
        from avssl.experiment.dry_run import dry_run as try_out

        return try_out(request)
    from avssl.experiment.run import Run
    from avssl.experiment.training import run_request

    return Run(request.out, run_request(request))
