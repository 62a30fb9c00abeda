"""What :func:`avssl.audit` returns: all that was found, as text, JSON values or a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from avssl.experiment.audit import page, screen
from avssl.experiment.audit.findings import Findings


@dataclass(frozen=True)
class Audit(Findings):
    """What an audit found; see :class:`~avssl.experiment.audit.findings.Findings` for its attributes."""

    def lines(self) -> list[str]:
        """All of it for a screen of 80 columns."""
        return screen.lines(self)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return page.as_json(self)

    def html(self) -> str:
        """One page that needs nothing from elsewhere."""
        return page.html(self)
