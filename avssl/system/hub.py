"""Runs on a Hugging Face Hub: ``hf://ORG/NAME[@REVISION]`` fetched into its cache, and folders pushed to one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from avssl.errors import UserError, reason_of
from avssl.installation import install_hint
from avssl.system.remote import causes_of, status_of, troubles

_SCHEME = "hf://"
CONVERTED = "refs/convert/parquet"
T = TypeVar("T")
# As the Hub allows them: letters, digits, "-", "_", ".", neither first nor last nor twice a sign.
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_]|[-.](?![-.]))*(?<![-.])"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")

# All that a run is read from. Weights only as safetensors: what else a repository holds may run code when it is read.
_OF_A_RUN = (
    "config.yaml",
    "encoders/*.json",
    "encoders/*.safetensors",
    "heads/*.safetensors",
    "localization.json",
    "results/*.json",
    "tasks/*.json",
    "environment.json",
)


def is_hub_run(name: object) -> bool:
    """Whether a run is named by its place on a hub."""
    return isinstance(name, str) and name.startswith(_SCHEME)


def name_on_hub(folder: Path) -> str | None:
    """ORG/NAME of a run that :func:`fetched_run` has fetched; None of other folders."""
    # The hub's cache keeps it in models--ORG--NAME/snapshots/REVISION, a name that tells nobody anything.
    found = folder.parts[-3:]
    if len(found) < 3 or found[1] != "snapshots" or not found[0].startswith("models--"):
        return None
    return found[0].removeprefix("models--").replace("--", "/", 1)


def checked_repository(name: str) -> str:
    """The name; UserError if it is not ORG/NAME."""
    if not _REPOSITORY.fullmatch(name):
        raise UserError(f"{name!r} is no name on a hub; give ORG/NAME, of letters, digits, '-', '_' and '.'")
    return name


def fetched_run(name: T) -> T | str:
    """The folder of a run on this disk: of ``hf://ORG/NAME[@REVISION]`` what the hub's cache then holds; others as
    they are.

    Raises:
        UserError: no such repository or revision, it may not be read, it holds no run, or the hub cannot be reached.
    """
    if not isinstance(name, str) or not is_hub_run(name):
        return name
    repository, _, revision = name.removeprefix(_SCHEME).partition("@")
    checked_repository(repository)
    hub = _library(name)
    with _told(f"{name} cannot be fetched", hub):
        folder = Path(
            hub.snapshot_download(
                repository, revision=revision or None, allow_patterns=[*_OF_A_RUN], endpoint=_endpoint()
            )
        )
    lacking = [one for one in ("config.yaml", "encoders") if not (folder / one).exists()]
    if lacking:
        raise UserError(f"{name} holds no run of avssl (there is no {lacking[0]}); avssl push writes such a repository")
    return str(folder)


def fetched_dataset(repository: str, revision: str | None = None) -> Path:
    """The folder of the Parquet files of a data set, which the hub's cache then holds.

    Raises:
        UserError: as :func:`fetched_run`; or it holds no Parquet files.
    """
    hub = _library(repository)
    # Of data sets that were uploaded otherwise, the Hub keeps a conversion in a branch of its own.
    for branch in (revision,) if revision else (None, CONVERTED):
        with _told(f"{repository} cannot be fetched", hub):
            try:
                folder = hub.snapshot_download(
                    repository, repo_type="dataset", revision=branch, allow_patterns=["*.parquet"], endpoint=_endpoint()
                )
            except hub.errors.RevisionNotFoundError:
                if branch == CONVERTED:
                    break
                raise
        if any(Path(folder).rglob("*.parquet")):
            return Path(folder)
    raise UserError(
        f"the data set {repository} on the hub holds no Parquet files; load_dataset(…).save_to_disk(FOLDER) makes a "
        "folder that hf-dataset:FOLDER reads"
    )


def push(files: Mapping[str, bytes | Path], repository: str, *, private: bool, token: str | None, message: str) -> str:
    """Make the repository if it is not there, and put these files into it in one commit; returns its address.

    Args:
        files: what they hold, or where they lie, by their names in the repository.
        private: of a repository that is made now; one that is there stays as it is.
        token: None takes the one of ``hf auth login`` or ``HF_TOKEN``.

    Raises:
        UserError: no token or one that may not write there, the hub refuses a file, or it cannot be reached.
    """
    hub = _library(repository)
    token = token or hub.get_token()
    if not token:
        raise UserError("to push, a token is needed: hf auth login, HF_TOKEN, or --token-file FILE")
    operations = [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
    api = hub.HfApi(endpoint=_endpoint(), token=token, library_name="avssl")
    with _told(f"{repository} cannot be pushed", hub):
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.create_commit(repository, operations, commit_message=message)
    return str(address)


def _library(name: str) -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError:
        raise UserError(f"{name}: this needs huggingface_hub: {install_hint('hub')}") from None
    return huggingface_hub


def _endpoint() -> str | None:
    # Read here, too: the library does so only when it is imported.
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _told(what: str, hub: Any) -> Iterator[None]:
    """Turns whatever the library raises for trouble into one line."""
    try:
        yield
    except troubles() as error:
        _refuse(what, error, hub)


def _refuse(what: str, error: BaseException, hub: Any) -> NoReturn:
    host = _endpoint() or hub.constants.ENDPOINT
    errors = hub.errors
    status = next((found for found in map(status_of, causes_of(error)) if found), 0)
    reason = reason_of(error)
    if isinstance(error, errors.RevisionNotFoundError):
        mend = "there is no such revision; give a branch, a tag or a commit"
    elif status in (401, 403) and not isinstance(error, errors.RepositoryNotFoundError):
        mend = f"{host} does not accept the token for this; hf auth login, or HF_TOKEN, with one that may"
    elif status in (401, 404):  # a private repository answers as one that is not there
        mend = f"{host} has no such repository, or the token may not see it; look at the name, or hf auth login"
    elif isinstance(error, errors.OfflineModeIsEnabled) or "HF_HUB_OFFLINE" in str(error):
        mend = "HF_HUB_OFFLINE is set and the cache does not hold it; unset it"
    elif isinstance(error, ValueError) and not status:
        mend = f"{host} gave an answer that cannot be understood ({reason}); look at HF_ENDPOINT"
    elif not status:
        mend = f"{host} cannot be reached ({reason}); try again later, or look at HF_ENDPOINT"
    else:
        mend = f"{host} answers {status} ({reason}); try again later"
    raise UserError(f"{what}: {mend}") from error
