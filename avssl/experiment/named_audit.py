"""The audit of data that are named, as ``avssl audit`` asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avssl.experiment.audit_options import AuditOptions
from avssl.experiment.loading import load_torch
from avssl.experiment.places import open_data, refuse_missing
from avssl.options import check_options
from avssl.system.console import counted, log, progress

if TYPE_CHECKING:
    from avssl.experiment.audit import Audit


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
    # Opened here rather than in ``audit``: the lines name data as they were typed.
    media, test = open_data(options.data, options.test, options.mode)
    log(
        f"auditing {counted(len(media), 'item')} of {options.data}"
        + (f", {len(test)} of {options.test}" if test else "")
    )
    load_torch()
    from avssl.experiment.audit import audit
    from avssl.tasks.registry import get

    task = None if options.task is None else get(options.task)(task_options)
    with progress("auditing", "%") as on_progress:
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
