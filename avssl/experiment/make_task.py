"""``avssl.task``: a task by its name and its options."""

from __future__ import annotations

from typing import Any

from avssl.networks.own_modules import named
from avssl.options import build
from avssl.options.python_names import names_keywords
from avssl.tasks.base import Task
from avssl.tasks.registry import get


@names_keywords
def task(name: str, **options: Any) -> Task:
    """A pretext task: ``avssl.task("av-correspondence", fusion="avol", side=112)``.

    Args:
        name: as ``avssl train --help`` lists them.
        options: those of ``avssl train NAME --help`` that are the task's own, with underscores.

    Raises:
        UserError: no task of this name, no such option (the nearest is named), or a value that it cannot have.
    """
    kind = get(name)
    return kind(build(kind.Options, named(options), f"{name}: "))
