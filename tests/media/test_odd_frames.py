"""Frames that PyAV or FFmpeg's scaler cannot show as they are: shown all the same, or refused in true words."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type as SideDataType
from media.made import Recipe, make, number_in

from avssl.errors import MediaError
from avssl.media.decoding.pictures import Painter
from avssl.media.decoding.video import read_frames
from avssl.media.indexing.inspect import inspect


def with_exif(path: str, orientation: int) -> str:
    """A copy of a motion JPEG whose pictures carry Exif: FFmpeg hands that on as side data of a kind of its own."""
    entry = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    copy = str(Path(path).with_name("exif.mkv"))
    with av.open(path) as old, av.open(copy, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if not packet.size:
                continue
            data = bytes(packet)
            other = av.Packet(data[:2] + segment + data[2:])
            other.pts, other.dts, other.duration, other.time_base = (
                packet.dts, packet.dts, packet.duration, packet.time_base)  # fmt: skip
            other.is_keyframe, other.stream = True, stream
            new.mux(other)
    return copy


def test_side_data_of_an_unknown_kind_hide_neither_the_pictures_nor_how_to_turn_them(tmp_path: Path) -> None:
    recipe = Recipe("avi", video="mjpeg", pixels="yuvj420p", sound=None, frames=6)
    for orientation, size in ((1, (64, 48)), (6, (48, 64))):  # 6: the camera was held upright
        path = with_exif(make(tmp_path, recipe), orientation)
        found = inspect(path)
        assert (found.reason, found.width, found.height) == (None, *size)
        picture = read_frames(path, found.clock, [0.2])[0]
        assert number_in(np.rot90(picture, 1, (1, 2)) if orientation == 6 else picture) == 5


def test_a_kind_of_side_data_that_nobody_knows_yet_is_no_error() -> None:
    kind = SideDataType(9999)
    assert kind is not SideDataType.DISPLAYMATRIX
    assert SideDataType(SideDataType.DISPLAYMATRIX.value) is SideDataType.DISPLAYMATRIX


def frame_of(matrix: int, pixels: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (200, 60, 30), np.uint8), "rgb24")
    frame = frame.reformat(format=pixels)
    frame.pts, frame.time_base, frame.colorspace = 0, Fraction(1, 25), matrix
    return frame


@pytest.mark.parametrize("matrix", [0, 3, 10, 12, 13])
def test_colour_matrices_that_are_reserved_or_derived_are_shown_as_their_like(matrix: int) -> None:
    shown = Painter(64, 48, "x.mp4").pixels(frame_of(matrix))
    assert np.abs(shown.reshape(-1, 3).mean(axis=0) - (200, 60, 30)).max() < 25


@pytest.mark.parametrize(("matrix", "pixels"), [(8, "yuv420p"), (14, "yuv420p"), (2, "gray32le")])
def test_what_cannot_be_turned_into_rgb_is_refused_in_these_words(matrix: int, pixels: str) -> None:
    frame = frame_of(matrix) if pixels == "yuv420p" else av.VideoFrame(64, 48, pixels)
    with pytest.raises(MediaError, match=r"x\.mp4: its pictures cannot be converted to RGB \(pixel format") as caught:
        Painter(64, 48, "x.mp4").pixels(frame)
    assert caught.value.path == "x.mp4"
