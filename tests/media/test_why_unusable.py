"""Files that are whole and cannot be used all the same are refused for the true reason."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import Recipe, make

from avssl.media.containers.matroska import elements
from avssl.media.indexing.inspect import inspect

FILM = Recipe("mp4", frames=50, sound_seconds=2.0)
ENCRYPTION = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


@pytest.mark.parametrize("recipe", [FILM, replace(FILM, suffix="m4a", format="mp4", video=None)], ids=["film", "song"])
def test_an_mp4_with_common_encryption_is_called_encrypted(recipe: Recipe, tmp_path: Path) -> None:
    assert inspect(make(tmp_path, replace(recipe, options=ENCRYPTION))).reason == "encrypted"


def test_a_scrambled_transport_stream_is_called_encrypted(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="ts")))
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(1)
    for at in range(0, len(data), 188):
        if (data[at + 1] & 31) << 8 | data[at + 2] in (256, 257):
            header = 5 + data[at + 4] if data[at + 3] & 0x20 else 4
            data[at + 3] |= 0x80
            data[at + header : at + 188] = noise.bytes(188 - header)
    path.write_bytes(bytes(data))
    assert inspect(str(path)).reason == "encrypted"


def element(name: int, content: bytes) -> bytes:
    """One EBML element with a size of four bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (0x10000000 | len(content)).to_bytes(4, "big") + content


def test_an_encrypted_webm_is_called_encrypted(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="webm", video="libvpx", sound=None)))
    data = path.read_bytes()
    segment = next(e for e in elements(data, 0, len(data)) if e.id == 0x18538067)
    parts = []
    for part in elements(data, segment.content, segment.end):
        content = data[part.content : part.end]
        if part.id == 0x1654AE6B:
            track = next(e for e in elements(data, part.content, part.end) if e.id == 0xAE)
            encryption = element(0x5035, element(0x47E1, b"\5"))
            encoding = element(0x6240, element(0x5033, b"\1") + encryption)
            content = element(0xAE, data[track.content : track.end] + element(0x6D80, encoding))
        if part.id == 0x1F43B675:
            content = content[:40] + np.random.default_rng(1).bytes(len(content) - 40)
        parts.append(element(part.id, content))
    path.write_bytes(data[: segment.start] + element(0x18538067, b"".join(parts)))
    assert inspect(str(path)).reason == "encrypted"


def test_an_asf_file_whose_header_speaks_of_encryption_is_called_encrypted(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="wmv", format="asf", video="wmv2", sound=None)))
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[16:24], "little")
    found = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + struct.pack("<Q", 40) + bytes(16)
    data[16:24] = struct.pack("<Q", length + len(found))
    data[length:length] = found
    data[length + 1000 :] = np.random.default_rng(1).bytes(len(data) - length - 1000)
    path.write_bytes(bytes(data))
    assert inspect(str(path)).reason == "encrypted"


def fragmented(folder: Path) -> tuple[bytes, list[tuple[bytes, int, int]]]:
    path = Path(make(folder, replace(FILM, options={"movflags": "frag_keyframe+empty_moov+default_base_moof"})))
    data = path.read_bytes()
    boxes, at = [], 0
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        boxes.append((name, at, size))
        at += size
    return data, boxes


def test_a_media_segment_without_its_init_segment_and_an_init_segment_alone_are_named(tmp_path: Path) -> None:
    data, boxes = fragmented(tmp_path)
    first, second = [at for name, at, _ in boxes if name == b"moof"][:2]
    segment, init = tmp_path / "chunk-1.m4s", tmp_path / "init.mp4"
    segment.write_bytes(struct.pack(">I4s4sI4s", 20, b"styp", b"msdh", 0, b"msdh") + data[first:second])
    init.write_bytes(data[:first])
    assert inspect(str(segment)).reason == "a segment without its initialization (init) segment"
    assert inspect(str(init)).reason == "an initialization (init) segment without its media"
    init.with_name("both.mp4").write_bytes(data[:first] + segment.read_bytes())
    assert inspect(str(tmp_path / "both.mp4")).reason is None


def test_the_same_of_webm(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="webm", video="libvpx", sound=None)))
    data = path.read_bytes()
    segment = next(e for e in elements(data, 0, len(data)) if e.id == 0x18538067)
    cluster = next(e for e in elements(data, segment.content, segment.end) if e.id == 0x1F43B675)
    (tmp_path / "chunk.webm").write_bytes(data[cluster.start : cluster.end])
    (tmp_path / "init.webm").write_bytes(
        data[: segment.content - 8] + b"\1" + b"\xff" * 7 + data[segment.content : cluster.start]
    )
    assert inspect(str(tmp_path / "chunk.webm")).reason == "a segment without its initialization (init) segment"
    assert inspect(str(tmp_path / "init.webm")).reason == "an initialization (init) segment without its media"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("mhm1", "no decoder for MPEG-H 3D Audio (mhm1)"),
        ("mha1", "no decoder for MPEG-H 3D Audio (mha1)"),
        ("ac-4", "no decoder for AC-4 (ac-4)"),
        ("zzzz", "no decoder for zzzz"),
    ],
)
def test_what_has_no_decoder_is_called_by_its_name(tag: str, words: str, tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="m4a", format="mp4", video=None)))
    data = path.read_bytes()
    assert data.count(b"mp4a") == 1
    # Without the box that says AAC: FFmpeg would believe it.
    path.write_bytes(data.replace(b"mp4a", tag.encode()).replace(b"esds", b"free"))
    assert inspect(str(path)).reason == words


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_matroska_file_whose_elements_do_not_follow_each_other_is_damaged(suffix: str, tmp_path: Path) -> None:
    recipe = replace(FILM, suffix=suffix, video="libvpx-vp9", sound=None, frames=100)
    path = Path(make(tmp_path, recipe))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [p.pos for p in container.demux(container.streams.video[0]) if p.size and p.pos]
    at = places[60]
    data[at - 4 : at + 4] = bytes(8)
    path.write_bytes(bytes(data))
    reason = str(inspect(str(path)).reason)
    assert reason.startswith("damaged: ")


def test_a_wrong_checksum_of_a_cluster_is_damage(tmp_path: Path) -> None:
    path = Path(make(tmp_path, replace(FILM, suffix="mkv", video="libvpx-vp9", sound=None, frames=100)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # one bit, which VP9 takes for other pictures
    path.write_bytes(bytes(data))
    reason = str(inspect(str(path)).reason)
    assert reason.startswith("damaged: its bytes do not match their checksums or lengths at "), reason


def test_a_song_of_which_most_cannot_be_decoded_is_damaged(tmp_path: Path) -> None:
    path = Path(make(tmp_path, Recipe("m4a", video=None, format="mp4", sound_seconds=2.0)))
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.audio[0]) if p.size and p.pos is not None]
    content = bytearray(path.read_bytes())
    for packet in packets[:-1]:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    assert str(inspect(str(path)).reason).startswith("damaged: ")
