"""A prepared set in S3, or on a hub, answers as the one on this disk, or says in one line why it cannot."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from media.remote_servers import Hub, Server, s3_environment, s3_store, serving
from media.remote_sets import SHARDS, same, shards_asked

import avssl
from avssl.errors import UserError
from avssl.media.prepared import remote as remote_sets
from avssl.media.prepared.read import Prepared
from avssl.media.prepared.remote import RemotePrepared

pytest.importorskip("aiohttp")


@pytest.fixture(scope="module")
def store(here: Prepared) -> Iterator[tuple[str, int]]:
    """An S3 server that holds the set as s3://bucket/sets/one."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with s3_store(here.folder, "bucket", "sets/one") as place:
        yield place


@pytest.fixture
def s3(store: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A proxy in front of it that misbehaves."""
    with serving(Server(upstream=store)) as proxy:
        for name, value in s3_environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield proxy


S3_SET = "s3://bucket/sets/one"


def test_a_set_in_s3_answers_as_the_one_on_disk(here: Prepared, s3: Server) -> None:
    there = avssl.open(S3_SET)
    assert isinstance(there, RemotePrepared)
    assert same(there, here)
    assert shards_asked(s3) == {f"shard-{k:06d}.tar": 1 for k in range(SHARDS)}


@pytest.mark.parametrize("kind", ["busy", "cut", "wrong", "slow", "hang up"])
def test_trouble_of_s3_that_passes_leaves_the_right_data(here: Prepared, s3: Server, kind: str) -> None:
    s3.faults = [(kind, "table.json"), (kind, "rows.i64"), (kind, "shard-000000"), (kind, "shard-000003")]
    there = avssl.open(S3_SET)
    assert isinstance(there, RemotePrepared)
    assert same(there, here)
    assert s3.faults == []


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("busy", "could not be read in 3 tries"),
        ("cut", "could not be read in 3 tries"),
        ("expired", "may not be read .*expired.* AWS_ACCESS_KEY_ID"),
        ("invalid token", "may not be read .* AWS_ACCESS_KEY_ID"),
        ("forbidden", "may not be read"),
        ("wrong", "with a wrong checksum|Expected checksum"),  # botocore compares S3's own sum where it is sent
    ],
)
def test_trouble_of_s3_that_stays_is_one_line(here: Prepared, s3: Server, kind: str, line: str) -> None:
    there = avssl.open(S3_SET)
    assert isinstance(there, RemotePrepared)
    s3.always = [(kind, "shard-000001")]
    with pytest.raises(UserError, match=line) as caught:
        there.frames(2, [0.0])
    assert "\n" not in str(caught.value)
    s3.always = []
    assert same(there, here)  # the credentials were renewed, the server is back


def test_a_bucket_a_set_or_credentials_that_are_not_there_are_one_line(
    s3: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"no prepared set is there .*bucket.*avssl prepare"):
        avssl.open("s3://no-such-bucket/set")
    with pytest.raises(UserError, match=r"no prepared set is there .*avssl prepare"):
        avssl.open("s3://bucket/sets/none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(UserError, match=r"may not be read .*credentials.*AWS_ACCESS_KEY_ID"):
        avssl.open(S3_SET)


def test_a_set_in_s3_goes_to_forked_workers(here: Prepared, s3: Server) -> None:
    there = avssl.open(S3_SET)
    expected = int(here.frames(0, [0.0]).sum())
    copy = pickle.dumps(there)
    child = os.fork()
    if not child:
        os._exit(int(int(pickle.loads(copy).frames(0, [0.0]).sum()) != expected))
    assert os.waitpid(child, 0)[1] == 0


# --- the Hub ----------------------------------------------------------------------------------------------


@pytest.fixture
def hub(here: Prepared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An imitation of a Hub."""
    pytest.importorskip("huggingface_hub")
    import fsspec.config

    with serving(Hub(here.folder.parent)) as hub:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
        yield hub  # type: ignore[misc]


@pytest.mark.parametrize("pieces", [False, True])
def test_a_set_on_a_hub_answers_as_the_one_on_disk(
    here: Prepared, hub: Hub, monkeypatch: pytest.MonkeyPatch, pieces: bool
) -> None:
    monkeypatch.setattr(remote_sets, "SMALL_SHARD_BYTES", 0 if pieces else 2**20)
    there = avssl.open("hf://datasets/owner/name/set")
    assert isinstance(there, RemotePrepared)
    hub.faults = [("cut", "shard"), ("busy", "shard"), ("wrong", "shard")]
    assert same(there, here, range(1))
    assert hub.faults == []


def test_what_a_hub_refuses_is_one_line(hub: Hub) -> None:
    with pytest.raises(UserError, match="no prepared set is there"):
        avssl.open("hf://datasets/owner/name/none")
    with pytest.raises(UserError, match="no prepared set is there"):
        avssl.open("hf://datasets/owner/other/set")
    there = avssl.open("hf://datasets/owner/name/set")
    hub.always = [("forbidden", "shard")]
    with pytest.raises(UserError, match=r"may not be read .* HF_TOKEN"):
        there.frames(0, [0.0])
