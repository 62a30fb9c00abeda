"""A finished run on a Hugging Face Hub: which files go there, and what they say of this machine (nothing)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avssl.errors import UserError
from avssl.options import argument, option
from avssl.system import hub
from avssl.system.files import write_whole
from avssl.trainer.run_config import encoder_names

CARD = "README.md"


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Which run, and to which repository."""

    run: str = argument("the folder of a finished run")
    repository: str = argument("its name on the hub, ORG/NAME; made if it is not there")
    license: str = option("unknown", "licence of the weights, as the hub abbreviates it: mit, apache-2.0, cc-by-4.0, …")
    private: bool = option(False, "make a repository that only its owners see; one that is there stays as it is")
    pictures: bool = option(True, "also push sheet.png, which shows items of the data, and curves.png")
    dry_run: bool = option(False, "write the card and list the files, but push nothing")
    token_file: str | None = option(
        None, "file that holds the token (default: that of hf auth login, or HF_TOKEN)", metavar="FILE"
    )
    message: str = option("A run of avssl", "commit message")


@dataclass(frozen=True)
class Pushed:
    """What went to the hub.

    Attributes:
        address: of the repository; None of a dry run.
        files: sizes in bytes, by name.
        card: where the model card lies.
    """

    address: str | None
    files: Mapping[str, int]
    card: Path


def push_run(options: PushOptions) -> Pushed:
    """Write the run's model card, and push it with encoders, options, results and pictures.

    Raises:
        UserError: no finished run, no such name, no token, or the hub refuses or cannot be reached.
    """
    hub.checked_repository(options.repository)
    run = Path(options.run)
    encoder_names(run)  # refuses what has none, before a token is asked for
    token = None if options.token_file is None else _token(Path(options.token_file))
    files = files_of(run, options.repository, options.license, pictures=options.pictures)
    # Also kept here: whoever runs it dry wants to read it.
    card = files[CARD]
    assert isinstance(card, bytes)
    write_whole(run / CARD, card)
    sizes = {name: len(one) if isinstance(one, bytes) else one.stat().st_size for name, one in files.items()}
    address = None
    if not options.dry_run:
        address = hub.push(files, options.repository, private=options.private, token=token, message=options.message)
    return Pushed(address, sizes, run / CARD)


def files_of(run: Path, repository: str, licence: str, *, pictures: bool = True) -> dict[str, bytes | Path]:
    """Each file that is pushed, by its name there: its bytes, or where it lies unchanged.

    Options and results hold names of data in the place of their paths. No checkpoint, log or index is among them.

    Raises:
        UserError: a module of the run is damaged or missing.
    """
    from avssl.evaluate.data.load_run import open_run, run_tasks
    from avssl.evaluate.data.pushed_heads import FOLDER, heads_of
    from avssl.networks.model import load
    from avssl.report.model_card import model_card
    from avssl.report.run_parts import read_runs
    from avssl.report.without_places import without_places

    load(run)  # what is damaged here should not be pushed
    parts = read_runs([run], "avssl push", with_levels=False)[0]
    shown = [name for name in ("sheet.png", "curves.png") if pictures and (run / name).is_file()]
    found: dict[str, bytes | Path] = {CARD: model_card(parts, repository, licence, shown).encode()}
    found["config.yaml"] = yaml.safe_dump(without_places(dict(parts.config)), sort_keys=False).encode()
    for path in sorted((run / "encoders").glob("*.safetensors")):
        found[f"encoders/{path.stem}.json"] = path.with_suffix(".json")
        found[f"encoders/{path.name}"] = path
    for task in run_tasks(run):
        one = open_run(run, task.name)
        heads = heads_of(run, one.task, one.network, one.steps, one.finished)
        found[f"{FOLDER}/{task.name}.safetensors"] = heads
    # What a task has learned of its data, and from which logit on something is heard.
    for path in [*sorted((run / "tasks").glob("*.json")), run / "localization.json"]:
        if path.is_file():
            found[str(path.relative_to(run).as_posix())] = json.dumps(without_places(_json(path)), indent=1).encode()
    for path in sorted((run / "results").glob("*.json")):
        found[f"results/{path.name}"] = json.dumps(without_places(_json(path)), indent=1).encode()
    return found | {name: run / name for name in shown}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{path} is damaged; remove it and run the command that wrote it again") from None


def _token(path: Path) -> str:
    try:
        found = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"--token-file {path} cannot be read ({reason})") from None
    if not found or not found.isascii() or len(found.split()) != 1:
        raise UserError(f"--token-file {path} does not hold one token; write it there alone")
    return found
