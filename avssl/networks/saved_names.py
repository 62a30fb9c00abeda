"""The modules saved in a run, by their file names; read without importing torch."""

from __future__ import annotations

from pathlib import Path

from avssl.errors import UserError
from avssl.system.hub import fetched_run


def saved_names(path: str | Path) -> tuple[Path, list[str]]:
    """The folder of a run's modules, and their names: "vision", "audio", "fusion"; of several tasks also "vision-TASK".

    Args:
        path: the folder of a run, or ``hf://ORG/NAME[@REVISION]``, which is fetched.

    Raises:
        UserError: there is no such folder, or nothing is saved there.
    """
    folder = Path(fetched_run(path))
    if not folder.is_dir():
        raise UserError(f"{path} is not a folder; name the folder of a run, such as runs/quickstart")
    if (folder / "encoders").is_dir():
        folder = folder / "encoders"
    names = sorted(file.stem for file in folder.glob("*.json"))
    if not names:
        raise UserError(f"{path} holds no encoders; has the training of this run ended?")
    return folder, names
