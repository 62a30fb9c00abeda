"""The run folder: options, environment, metrics, weights. Only one process writes there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from torch import nn

from avssl.errors import UserError
from avssl.system.files import (
    UNFINISHED,
    make_folder,
    read_json,
    remove_unfinished,
    take_lock,
    write_json,
    write_whole,
    writing,
)
from avssl.system.ranks import is_writer
from avssl.trainer.checkpoints import PARTS, Checkpoints
from avssl.trainer.environment import describe_environment
from avssl.trainer.metrics import MetricsLog
from avssl.trainer.run_config import NO_MATTER

_LOCK = ".lock"


class RunFolder:
    """Opens the folder of a run, new or to be continued, and locks it until :meth:`close`.

    Of several processes only rank 0 writes; in the others every method does nothing.

    Args:
        path: the folder; made if it is not there.
        config: every option, resolved, as plain values (nested mappings, lists, dataclasses, paths).
        may_differ: last parts of dotted keys that may differ from those of the run that is there.
        defaults: values by dotted key. A run of an earlier version lacks the options that came after it: it was
            made as their defaults say, and is continued where nothing else is asked.

    Raises:
        UserError: another process writes there; the run there has other options (they are named); the
            folder holds something else; it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        config: Mapping[str, Any],
        *,
        may_differ: Collection[str] = NO_MATTER,
        defaults: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.path = Path(path)
        self.writes = is_writer()
        self.config = plain(config)
        self.checkpoints = Checkpoints(self.path / "checkpoints", PARTS)
        self.metrics = MetricsLog(self.path)
        self._unlock: Callable[[], None] | None = None
        if self.writes:
            with writing(self.path):
                make_folder(self.path)
                _refuse_something_else(self.path)
                self._unlock = take_lock(self.path / _LOCK)
            if self._unlock is None:
                raise UserError(f"another process is training in {self.path}; stop it, or choose another --out")
            try:
                self._begin(self.config, may_differ, plain(defaults))
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def results(self) -> Path:
        """Where result rows go."""
        return self.path / "results"

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` whole as ``RUN/name`` ("results/controls.json")."""
        if self.writes:
            write_json(self.path / name, value)

    def write_encoders(self, encoders: Mapping[str, nn.Module]) -> None:
        """Write each encoder by its role, for ``avssl.load``."""
        if not self.writes:
            return
        from avssl.networks.saving import save_module

        for role, encoder in encoders.items():
            save_module(encoder, self.path / "encoders" / role, {"beside": sorted(encoders)})

    def start_loggers(self, log_to: Sequence[str], tasks: Sequence[str]) -> None:
        """Open the loggers that are named for a training of these tasks.

        Raises:
            UserError: one is not installed, or fails.
        """
        if self.writes:
            self.metrics.start_loggers(log_to, tasks, dict(_flat(self.config)))

    def set_results_aside(self, steps: int) -> Path:
        """Begin anew with results, as the run is asked for more than ``steps``, and keep those there are.

        Returns:
            the folder that they are kept in.
        """
        aside = self.path / f"results-{steps}-steps"
        if self.writes:
            with writing(aside):
                if not aside.exists() and self.results.exists():  # else a process that was killed here did it
                    self.results.rename(aside)
                self.results.mkdir(exist_ok=True)
                for name in ("sheet.png", "curves.png"):
                    (self.path / name).unlink(missing_ok=True)
            # Last: from now on the longer run is what is asked for here.
            write_whole(self.path / "config.yaml", self._yaml())
        return aside

    def _yaml(self) -> bytes:
        return yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True).encode()

    def note(self, facts: Mapping[str, Any]) -> None:
        """Add what was found out since the start to what ``environment.json`` has of it."""
        there = read_json(self.path / "environment.json")
        if self.writes and isinstance(there, dict):
            now = there["continued"][-1] if there.get("continued") else there
            now.update(facts)
            self.write_json("environment.json", there)

    def close(self) -> None:
        """Release the folder."""
        self.metrics.close()
        if self._unlock is not None:
            self._unlock()
            self._unlock = None

    def _begin(self, config: dict[str, Any], may_differ: Collection[str], defaults: Mapping[str, Any]) -> None:
        known = self.path / "config.yaml"
        remove_unfinished(self.path)
        if known.exists():
            _refuse_other_options(self.path, read_options(known), config, may_differ, defaults)
            self._note_start()
            return
        self._note_start()
        with writing(self.results):
            self.results.mkdir(exist_ok=True)
        # Last: a folder with this file is a run.
        write_whole(known, self._yaml())

    def _note_start(self) -> None:
        """The first start's facts, and those of each that continued it under "continued"."""
        now = describe_environment()
        if (self.path / "config.yaml").exists():
            # None where it is damaged: then this start counts as the first.
            first = read_json(self.path / "environment.json")
            continued = (first or {}).get("continued", [])
            if first is not None:
                now = {**first, "continued": [*(continued if isinstance(continued, list) else []), now]}
        self.write_json("environment.json", now)


def plain(value: Any) -> Any:
    """The value as YAML can hold it: dataclasses and mappings as dicts, tuples as lists, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, os.PathLike) else value


def _refuse_something_else(folder: Path) -> None:
    """A folder without config.yaml may hold no more than a process that was killed while it began left there."""
    names = sorted(entry.name for entry in folder.iterdir())
    ours = {_LOCK, "environment.json", "results"}
    strange = [name for name in names if name not in ours and not name.endswith(UNFINISHED)]
    if strange and "config.yaml" not in names:
        raise UserError(
            f"{folder} is not empty and holds no run (there is {strange[0]} and no config.yaml); choose another --out"
        )


def read_options(known: Path) -> dict[str, Any]:
    """The options in the ``config.yaml`` of a run.

    Raises:
        UserError: it is damaged.
    """
    try:
        config = yaml.safe_load(known.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{known} is damaged; copy it again from the run, or choose another --out")
    return config


def _refuse_other_options(
    folder: Path,
    there: Mapping[str, Any],
    asked: Mapping[str, Any],
    may_differ: Collection[str],
    defaults: Mapping[str, Any],
) -> None:
    now = dict(_flat(asked))
    before = {name: value for name, value in defaults.items() if name in now} | dict(_flat(there))
    differing = [
        f"{name} (there {before.get(name, 'not given')}, now {now.get(name, 'not given')})"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name) and name.rsplit(".", 1)[-1] not in may_differ
    ]
    if differing:
        raise UserError(
            f"{folder} holds a run with other options: {', '.join(differing)}; "
            "give the same to continue it, or choose another --out"
        )


def _flat(options: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value
