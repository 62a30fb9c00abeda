"""What ``avssl.audit`` returns: the findings, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avssl.experiment.audit import page, screen
from avssl.experiment.audit.findings import Findings


@dataclass(frozen=True, repr=False)
class Audit(Findings):
    """What :func:`avssl.audit` returns: all that was found; its attributes are those of :class:`Findings`."""

    def lines(self) -> list[str]:
        """All of it for a screen of 80 columns."""
        return screen.lines(self)

    def __repr__(self) -> str:
        """The same, as a prompt or a notebook shows it."""
        return "\n".join(self.lines())

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values; NaN is null."""
        return page.as_json(self)

    def html(self) -> str:
        """One page that needs nothing from elsewhere."""
        return page.html(self)
