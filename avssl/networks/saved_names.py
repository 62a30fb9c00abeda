"""The modules saved in a run, by their file names; read without importing torch."""

from __future__ import annotations

from pathlib import Path

from avssl.errors import UserError
from avssl.system.files import read_json
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


def names_of_task(names: list[str], task: str | None) -> dict[str, str]:
    """By part, "vision", "audio" or "fusion", the name that it is saved under for a task; those that there are.

    Args:
        names: as :func:`saved_names` gives them.
        task: None is the task that compares picture and sound.
    """
    own = task or "av-correspondence"
    files = {part: f"{part}-{own}" if f"{part}-{own}" in names else part for part in ("vision", "audio", "fusion")}
    return {part: name for part, name in files.items() if name in names}


def saved_fusion(path: str | Path) -> str | None:
    """The name of the fusion that is saved in a run; None where it compares no picture with a sound.

    Raises:
        UserError: as :func:`saved_names`.
    """
    folder, names = saved_names(path)
    files = names_of_task(names, None)
    saved = read_json(folder / f"{files['fusion']}.json") if len(files) == 3 else None
    return None if saved is None else str(saved.get("config", {}).get("name"))
