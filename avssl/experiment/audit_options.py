"""What ``avssl audit`` is asked: data by name, sources by column."""

from __future__ import annotations

from dataclasses import dataclass

from avssl.experiment.sources import SourceOptions
from avssl.options import argument, option


@dataclass(frozen=True, kw_only=True)
class AuditOptions(SourceOptions):
    """Which data are audited, for which task, and where the result goes."""

    data: str = argument("folder of videos or images, CSV, tar of images, prepared set, torchvision:NAME:FOLDER")
    task: str | None = option(
        None, "pretext task whose shortcuts and controls are tested; its own options are accepted, too"
    )
    test: str | None = option(None, "held-out data (default: the splits of DATA, or what training would hold out)")
    json: str | None = option(None, "also write the audit to this file", metavar="FILE")
    html: str | None = option(None, "also write one HTML page", metavar="FILE")
    fast: bool = option(False, "skip the planted leaks, which train the controls")
    items: int = option(1000, "measure at most N items, a sample if there are more", low=1)
    seed: int = option(0, "seed of samples, probes and planted leaks")
