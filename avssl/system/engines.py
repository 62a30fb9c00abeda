"""Where the parts of a job run: in this process, or as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avssl.errors import UserError, reason_of
from avssl.system.console import ShowProgress, counted, log
from avssl.system.console import progress as shown
from avssl.system.files import cache_folder
from avssl.system.parts import WHOLE, Divisible, Part, parts_of

# So that no core waits long for another at the end, and a machine that dies takes little with it.
PARTS_A_CORE = 4

# Seconds between two looks at how much of the whole is done.
LOOK_EVERY_SECONDS = 2.0


def run_parts(work: Divisible, engine: str, workers: int | None, progress: ShowProgress = None) -> None:
    """Do all parts of a work.

    Args:
        work: what is done; its data and where it writes must be seen by all machines under the same paths.
        engine: "local"; "ray", a cluster at ``RAY_ADDRESS`` or else this machine as one; or "ray://HOST:PORT".
        workers: processes of this machine; a cluster uses the cores that it has.
        progress: as in ``avssl.open``.

    Raises:
        UserError: no such engine, Ray is missing or cannot be reached, or a part raised it.
    """
    check_engine(engine)
    if engine == "local":
        work.do(WHOLE, workers, progress)
        return
    with_ray = _Ray(None if engine == "ray" else engine)
    try:
        parts = parts_of(max(1, min(work.units, PARTS_A_CORE * with_ray.cores())))
        machines, cores = counted(with_ray.nodes(), "machine"), counted(with_ray.cores(), "core")
        log(f"{counted(len(parts), 'part')} on {machines} with {cores}")
        units = work.units
        with shown("doing parts", work.unit, progress) as on_progress:
            for _ in with_ray.run(work, parts):
                on_progress(work.units_there(), units)
    finally:
        with_ray.close()


def check_engine(engine: str) -> None:
    """Raise UserError if this is no engine, or it is not installed."""
    if engine not in ("local", "ray") and not engine.startswith("ray://"):
        raise UserError(f"--engine {engine}: is none of local, ray, ray://HOST:PORT; give one of them")
    if engine != "local":
        try:
            import ray  # noqa: F401
        except ImportError:
            raise UserError("--engine ray needs Ray: pip install 'avssl[ray]'") from None


class _Ray:
    """A cluster: joined where an address is given or one is running, else this machine alone."""

    def __init__(self, address: str | None) -> None:
        import ray

        self._ray: Any = ray
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            address = address or os.environ.get("RAY_ADDRESS")
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                where = address or "this machine"
                raise UserError(f"no Ray cluster can be reached at {where} ({error}); look at RAY_ADDRESS") from error

    def cores(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def nodes(self) -> int:
        return sum(bool(node["Alive"]) for node in self._ray.nodes())

    def run(self, work: Divisible, parts: list[Part]) -> Iterator[Part | None]:
        """Each part once it is done, None every second or so. A part whose machine died is begun again on another."""
        paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        passed_on = {"AVSSL_CACHE": str(cache_folder()), "PYTHONPATH": os.pathsep.join(paths)}
        task = self._ray.remote(
            num_cpus=1, max_retries=-1, scheduling_strategy="SPREAD", runtime_env={"env_vars": passed_on}
        )(_do)
        shared = self._ray.put(work)
        waiting: dict[Any, Part] = {task.remote(shared, part, str(Path.cwd())): part for part in parts}
        while waiting:
            ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=LOOK_EVERY_SECONDS)
            if not ready:
                yield None
                continue
            one = ready[0]
            try:
                error = self._ray.get(one)
            except self._ray.exceptions.RayError as lost:
                raise UserError(
                    f"part {waiting[one]} was lost ({reason_of(lost)}); run the same command again"
                ) from lost
            if error is not None:
                raise UserError(error)
            yield waiting.pop(one)

    def close(self) -> None:
        if self._is_ours:
            self._ray.shutdown()


def _do(work: Divisible, part: Part, folder: str) -> str | None:
    """One part in a process of the cluster; what a user can mend comes back as its line."""
    try:
        os.chdir(folder)  # where the command was typed: names of files may be relative to it
    except OSError:
        return f"a machine of the cluster has no folder {folder}; all must see the same disk under the same paths"
    try:
        # One process beside this one: a file that crashes its decoder must not take the part with it.
        work.do(part, 1, False)
    except UserError as error:
        return str(error)
    return None
