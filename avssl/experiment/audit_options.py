"""What ``avssl audit`` is asked, and the audit that answers it: data by name, sources by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avssl.experiment.data import open_data, refuse_missing
from avssl.experiment.sources import SourceOptions
from avssl.options import argument, check_options, option
from avssl.system.console import log, progress

if TYPE_CHECKING:
    from avssl.experiment.audit import Audit

AUDITED_ITEMS = 1000  # of so many an audit measures all, of more a sample drawn from its seed


@dataclass(frozen=True, kw_only=True)
class AuditOptions(SourceOptions):
    """Which data are audited, for which task, and where the result goes."""

    data: str = argument("folder of videos or images, CSV, tar of images, prepared set, torchvision:NAME:FOLDER")
    task: str | None = option(None, "pretext task whose shortcuts and controls are tested; takes its options, too")
    test: str | None = option(None, "held-out data (default: the splits of DATA, or what training would hold out)")
    json: str | None = option(None, "also write the audit to this file", metavar="FILE")
    html: str | None = option(None, "also write one HTML page", metavar="FILE")
    fast: bool = option(False, "skip the planted leaks, which train the controls")
    items: int = option(AUDITED_ITEMS, "measure at most N items, a sample if there are more", low=1)
    seed: int = option(0, "seed of samples, probes and planted leaks")


def audited(options: AuditOptions, task_options: Any | None) -> Audit:
    """The audit of the data that are named.

    Args:
        options: which data, and how much of them.
        task_options: of the task whose shortcuts and controls are tested; None where there is none.

    Raises:
        UserError: nothing usable there, or nothing that the task can use.
    """
    if task_options is not None:
        check_options(task_options)
    refuse_missing(options.test)
    media, test = open_data(options.data, options.test, options.mode)
    log(f"auditing {len(media)} items of {options.data}" + (f", {len(test)} of {options.test}" if test else ""))
    from avssl.experiment.audit import audit  # loads torch
    from avssl.tasks.registry import get

    task = None if options.task is None else get(options.task)(task_options)
    with progress("auditing", "steps") as on_progress:
        return audit(
            media,
            task,
            test,
            sources=options.mode,
            fast=options.fast,
            items=options.items,
            seed=options.seed,
            names=(options.data, options.test),
            on_progress=on_progress,
        )
