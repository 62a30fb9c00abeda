"""The generated world that every command reads when no data are named: made once, kept in the cache."""

from __future__ import annotations

from pathlib import Path

from avssl.errors import UserError
from avssl.system.console import log, progress
from avssl.system.files import cache_folder, locked
from avssl.world.build import generate, is_finished
from avssl.world.settings import VERSION, Settings


def default_world() -> Path:
    """The folder of the default world; generates it first if it is not there, and says so.

    Raises:
        UserError: the cache cannot be written.
    """
    settings = Settings()
    folder = _folder()
    if is_finished(folder, settings):
        log(f"no --data: the generated clips in {folder}")
        return folder
    with locked(folder, lambda: log(f"another process is generating {folder}; waiting for it")):
        if not is_finished(folder, settings):
            count = settings.train + settings.validation + settings.test
            log(f"no --data: generating {count} clips once, about three minutes on two cores, in {folder}")
            with progress("generating", "clips") as on_progress:
                generate(folder, settings, on_progress=on_progress)
    return folder


def finished_world() -> Path:
    """The folder of the default world, which is not generated for this.

    Raises:
        UserError: it is not there, or not whole.
    """
    if not is_finished(_folder(), Settings()):
        raise UserError(f"the generated clips are not in {_folder()} (any more)")
    return _folder()


def _folder() -> Path:
    return cache_folder() / "world" / f"default-{VERSION}"
