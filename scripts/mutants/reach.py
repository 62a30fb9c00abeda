"""Which tests reach which line, and how long each takes: measured once a room, on the code as it is."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Tests:
    """Names of tests, the fastest files first, and the seconds that they take together."""

    names: list[str]
    seconds: float


@dataclass(frozen=True)
class Reach:
    """What was measured.

    Attributes:
        seconds: by test, set-up included.
        lines: by file and line, the tests that run it.
        forking: tests that fork: what their other processes run is not seen, so they are asked of every mutant.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    forking: list[str]

    def tests(self, file: str, lines: Iterable[int]) -> Tests:
        """The tests that run one of these lines; where none does (as of constants, at import), all tests of the
        files in which one runs any other line."""
        there = self.lines.get(file, {})
        names = {name for line in lines for name in there.get(line, [])}
        if not names:
            files = {name.split("::")[0] for tests in there.values() for name in tests}
            names = {name for name in self.seconds if name.split("::")[0] in files}
        names |= set(self.forking)
        by_file: dict[str, list[str]] = {}
        for name in sorted(names, key=self.seconds.__getitem__):
            by_file.setdefault(name.split("::")[0], []).append(name)
        files = sorted(by_file.values(), key=lambda tests: sum(self.seconds[name] for name in tests))
        ordered = [name for tests in files for name in tests]
        return Tests(ordered, sum(self.seconds[name] for name in ordered))


def measure(root: Path, tests: Sequence[str], files: Sequence[str]) -> Reach:
    """Run the tests in a fork, in this copy of the repository, with line coverage by test.

    Raises:
        SystemExit: a test fails on the code as it is.
    """
    target = root / "reach.json"
    child = os.fork()
    if not child:
        enter(root)
        os._exit(_measured(root, tests, files, target))
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"the tests fail on the code as it is (status {os.waitstatus_to_exitcode(status)})")
    found = json.loads(target.read_text())
    lines = {file: {int(k): v for k, v in by_line.items()} for file, by_line in found["lines"].items()}
    return Reach(found["seconds"], lines, found["forking"])


def enter(root: Path) -> None:
    """Make this process one that runs in the copy: its package, its tests, no caches shared with anybody."""
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # only those of PLUGINS: looking for others takes time
    os.environ["AVSSL_CACHE"] = str(root / ".cache")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(root / ".hypothesis")


PLUGINS = ("-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
PLAIN = ("-q", "-x", "-p", "no:cacheprovider", *PLUGINS, "--hypothesis-seed=0", "--no-header")


def _measured(root: Path, tests: Sequence[str], files: Sequence[str], target: Path) -> int:
    from coverage import Coverage

    coverage = Coverage(
        data_file=None, config_file=False, include=[str(root / file) for file in files], concurrency=["thread"]
    )
    watch = _Watch(coverage)
    coverage.start()
    status = pytest.main([*PLAIN, *tests], plugins=[watch])
    coverage.stop()
    if status:
        return int(status)
    data = coverage.get_data()
    lines: dict[str, dict[int, list[str]]] = {}
    for path in data.measured_files():
        by_line = data.contexts_by_lineno(path)
        lines[str(Path(path).relative_to(root))] = {k: [name for name in v if name] for k, v in by_line.items()}
    target.write_text(json.dumps({"seconds": watch.seconds, "lines": lines, "forking": sorted(watch.forking)}))
    return 0


class _Watch:
    """Tells coverage which test runs, takes its time, and sees whether it forks."""

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self._running = ""
        self.seconds: dict[str, float] = {}
        self.forking: set[str] = set()
        os.register_at_fork(after_in_parent=lambda: self.forking.add(self._running))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._running = item.nodeid
        self._coverage.switch_context(item.nodeid)
        begin = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - begin
            self._coverage.switch_context("")
