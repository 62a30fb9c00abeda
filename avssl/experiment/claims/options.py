"""Options of ``avssl reproduce``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avssl.options import argument, option


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is reproduced, and how much of it."""

    claim: str = argument("its name (--list shows all), or a YAML file of your own")
    scale: Literal["cpu", "gpu"] = option("cpu", "cpu: at most 40 minutes on two cores; gpu: at most 15 on one H100")
    seeds: int = option(3, "repetitions with other weights and puzzles", low=1)
    jobs: int = option(1, "trainings at a time, each a process with its share of the cores", low=1)
    data_root: str | None = option(None, "the folder in which the data sets of the claim lie", metavar="DIR")
    out: str = option("claims", "the folder that gets CLAIM/ with rows, figure and page", short="-o", metavar="DIR")
