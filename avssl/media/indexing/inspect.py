"""Inspecting one file: what is in it, when each frame is shown, and whether it can be used."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avssl.errors import MediaError
from avssl.media.containers import mpegts, structure
from avssl.media.containers.demux import (
    FROM_THE_FILE,
    NOT_MEDIA_FORMATS,
    Deadline,
    error_text,
    is_files_own,
    opened,
    picture_stream,
    sound_stream,
)
from avssl.media.containers.sound_endings import COMPLETE_SECONDS, Ending, ending_of, flac_frame_is_followed
from avssl.media.containers.why_unusable import ENCRYPTED, is_encrypted_mp4, why_unusable, without_decoder
from avssl.media.decoding.clock import Clock
from avssl.media.facts import SHORT_SECONDS, Kind, Unusable
from avssl.media.indexing.check_image import check_image
from avssl.media.indexing.check_sound import check_sound
from avssl.media.indexing.check_video import check_pictures
from avssl.media.indexing.packet_scan import AHEAD_SECONDS, Track, scan
from avssl.media.indexing.picture_formats import must_be_more_than_a_picture, must_be_no_picture, must_not_be_heif

# Reasons that may be consequences of another: encryption, or a missing init segment.
MAY_BE_WHOLE = ("damaged", "truncated", "unreadable", "no video", "no decoder", "not media")


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was found in a file. The fields are those of ``Facts``; they mean something only if ``reason`` is None."""

    reason: str | None = None  # why it cannot be used: "empty file", "not media", "truncated: …", …; None: it can
    kind: Kind = "video"
    duration_seconds: float = 0.0
    width: int = 0
    height: int = 0
    frame_count: int = 0
    frame_rate: float = 0.0
    audio_rate: int = 0
    audio_channels: int = 0
    audio_start_seconds: float = 0.0
    audio_end_seconds: float = 0.0
    flags: tuple[str, ...] = ()
    passing: bool = False  # whether the reason is a temporary error: no permission to read, a time-out, …
    clock: Clock = field(default_factory=Clock)  # for read_frames and read_audio

    @property
    def frame_times(self) -> NDArray[np.float64]:
        """Media time at which each frame is first shown, ascending, the first 0.0. (n,)"""
        return self.clock.frame_times


def inspect(path: str, *, timeout_seconds: float = 60.0) -> Inspection:
    """Inspect a file: read all its packets, decode parts of it. No bad file raises; a fault of this program does.

    Args:
        timeout_seconds: of CPU time without progress; then the file is given up, with that as the reason.
    """
    found = _inspected(path, Deadline(path, timeout_seconds))
    if found.reason is not None and found.reason.startswith(MAY_BE_WHOLE):
        return Inspection(why_unusable(path) or found.reason)
    return found


def of_image(size: tuple[int, int]) -> Inspection:
    return Inspection(kind="image", width=size[0], height=size[1], frame_count=1)


def _inspected(path: str, deadline: Deadline) -> Inspection:
    try:
        reason = _why_no_file(path)
        if reason is not None:
            return Inspection(reason)
        size = check_image(path)
        if size is not None:
            return of_image(size)
        return _inspect_media(path, deadline)
    except Unusable as unusable:
        return Inspection(str(unusable))
    except MediaError as error:
        at = "" if error.seconds is None else f" at {error.seconds:.2f} s"
        damaged = error.reason.startswith("damaged: ")
        return Inspection(f"{error.reason}{at}" if damaged else f"unreadable{at}: {error.reason}")
    except Exception as error:  # of any kind, as it is raised again: a fault of this program should name the file
        if isinstance(error, FROM_THE_FILE) and is_files_own(error):
            return Inspection(f"unreadable: {error_text(error)}")
        error.add_note(f"while inspecting {path}")
        raise


def _why_no_file(path: str) -> str | None:
    if not Path(path).exists():
        return "no such file"
    if not Path(path).is_file():
        return "not a file"
    if not os.access(path, os.R_OK):
        return "unreadable: permission denied"
    return "empty file" if Path(path).stat().st_size == 0 else None


def _inspect_media(path: str, deadline: Deadline) -> Inspection:
    must_not_be_heif(path)
    try:
        with opened(path, deadline) as container:
            return _inspect_container(path, container, deadline)
    except av.FFmpegError as error:
        return Inspection(structure.why_not_opened(path, error_text(error)))


def _inspect_container(path: str, container: InputContainer, deadline: Deadline) -> Inspection:
    """Raises Unusable with the reason, or MediaError where damage was met or the deadline has passed."""
    if container.format.name in NOT_MEDIA_FORMATS:
        raise Unusable("not media")
    must_be_no_picture(path, container)
    if "mp4" in container.format.name.split(",") and is_encrypted_mp4(path):
        raise Unusable(ENCRYPTED)
    pictures, sound = picture_stream(container), sound_stream(container)
    if pictures is None and sound is None:
        raise Unusable(_why_nothing(container))
    tracks = scan(container, deadline, *(s for s in (pictures, sound) if s is not None))
    picture_track = None if pictures is None else tracks[pictures.index]
    sound_track = None if sound is None else tracks[sound.index]
    both = [track for track in (picture_track, sound_track) if track is not None]
    ending = _ending(path, container, sound, sound_track)
    end = _end_of(path, container, both)
    if end < Path(path).stat().st_size:
        ending = ending._replace(has_junk=True)
    # Before anything is decoded: of several things that are wrong the container knows the truest reason.
    _must_be_whole(path, container, both, ending, end)

    if pictures is not None and picture_track is not None and sound is None:
        must_be_more_than_a_picture(container, pictures, picture_track.packets)

    found = Inspection(kind="sound")
    if pictures is not None and picture_track is not None and picture_track.packets:
        found = _with_pictures(path, pictures, picture_track, deadline)
    if sound is not None and sound_track is not None and sound_track.times:
        found = _with_sound(path, found, sound, sound_track, deadline)
        claimed = (container.duration or 0) / 1e6
        # Only FLAC counts its samples exactly (RFC 9639, 8.2); FFmpeg rounds their duration to microseconds.
        is_flac = container.format.name == "flac" and not found.clock.has_video
        if is_flac and found.audio_end_seconds < claimed - 1e-3:
            raise Unusable(f"truncated: it ends at {found.audio_end_seconds:.2f} s of {claimed:.2f} s")
        if ending.sound_bytes and sound.codec_context.bit_rate:  # FFmpeg decodes the bytes that follow as samples
            end_seconds = min(found.audio_end_seconds, 8 * ending.sound_bytes / sound.codec_context.bit_rate)
            clock = replace(found.clock, audio_end_seconds=end_seconds)
            found = replace(found, duration_seconds=end_seconds, audio_end_seconds=end_seconds, clock=clock)
    if not found.clock.has_video and not found.clock.has_sound:
        raise Unusable(_why_nothing(container))
    _must_make_sense(found)
    if found.duration_seconds < SHORT_SECONDS - 1e-3:
        found = replace(found, flags=(*found.flags, "short"))
    return replace(found, flags=found.flags + ending.flags)


def _ending(path: str, container: InputContainer, sound: AudioStream | None, track: Track | None) -> Ending:
    """How a file of sound ends; of files with pictures see :mod:`avssl.media.containers.structure`."""
    if sound is None or track is None or picture_stream(container) is not None:
        return Ending()
    ending = ending_of(path, container, track.frames, track.codec)
    claimed = (container.duration or 0) / 1e6
    complete = set(container.format.name.split(",")) & {"wv", "tta", "ape"} and claimed
    if track.stopped and complete and track.seconds(track.end_ticks) > claimed - COMPLETE_SECONDS:
        return ending._replace(has_junk=True)
    if container.format.name == "flac" and track.places:
        with Path(path).open("rb") as file:
            file.seek(track.places[-2])
            return ending._replace(has_junk=flac_frame_is_followed(file.read(track.sizes[-1])))
    return ending


def _end_of(path: str, container: InputContainer, tracks: list[Track]) -> int:
    """The byte at which the file ends; what follows is junk."""
    size = Path(path).stat().st_size
    end = structure.end_of_file(path, set(container.format.name.split(",")))
    begins = max((place for track in tracks for place in track.places[::2]), default=0)
    return end if end > begins else size  # headers by which packets would lie behind the end are wrong


def _must_be_whole(path: str, container: InputContainer, tracks: list[Track], ending: Ending, end_byte: int) -> None:
    """Raises Unusable where the container is longer than the file (``end_byte``), or cannot be read to its end."""
    zero = next((track.seconds(min(track.times)) for track in tracks if track.times), 0.0)
    _must_be_one(path, container, tracks, zero)
    end = max(track.seconds(track.end_ticks) for track in tracks)
    if ending.missing:
        raise Unusable(f"truncated: {ending.missing}")
    missing = None if ending.has_unknown_length else structure.what_is_missing(path, container, end, end_byte)
    if missing:
        raise Unusable(missing)
    names = set(container.format.name.split(","))
    place = structure.broken_place(path, names, end_byte) if container.streams.video else None
    if place is not None:
        raise Unusable(
            f"damaged: the structure of its container is broken at {tracks[0].seconds_at(place) - zero:.2f} s"
        )
    for track in tracks:
        if track.broken_seconds is not None and not (ending.has_unknown_length and track.ends_broken):
            last = "truncated: the last packet is incomplete"
            raise Unusable(
                last if track.ends_broken else f"damaged: data is missing at {track.broken_seconds - zero:.2f} s"
            )
        if track.stopped and not ending.has_junk:
            raise Unusable(f"damaged: it cannot be read on after {end - zero:.2f} s ({track.stopped})")


def _must_be_one(path: str, container: InputContainer, tracks: list[Track], zero: float) -> None:
    """Raises Unusable where files were concatenated or the clock jumps; ``zero`` is the media's, container time."""
    alone = container.format.name in ("ogg", "flac") and picture_stream(container) is None
    if alone and not any(track.stopped for track in tracks):
        return  # recordings one after the other are usual in these (Ogg chains: RFC 3533, 4) and placed by counting
    joined = structure.second_beginning(path, set(container.format.name.split(",")))
    if joined:
        raise Unusable(joined)
    jump = next((track.jump for track in tracks if track.jump), None)
    if jump is not None:
        raise Unusable(f"joined: its clock jumps from {jump[0] - zero:.2f} s to {jump[1] - zero:.2f} s")
    pictures = picture_stream(container)
    if pictures is not None and container.format.name == "mpegts" and mpegts.another_film_follows(path, pictures.id):
        raise Unusable(f"joined: another stream begins in it at {tracks[0].seconds(tracks[0].end_ticks) - zero:.2f} s")
    broken = [track.broken_seconds for track in tracks if track.broken_seconds is not None]
    if broken and container.format.name == "mpegts" and mpegts.are_joined(path):
        raise Unusable(f"joined: another stream begins in it at {max(broken) - zero:.2f} s")


def _must_make_sense(found: Inspection) -> None:
    """Raises Unusable at times that no player could keep."""
    seconds = found.duration_seconds
    if not 0 < seconds < math.inf:
        raise Unusable(f"damaged: its timestamps give a duration of {seconds:.2f} s")
    if not found.audio_rate:
        return
    start, end = found.audio_start_seconds, found.audio_end_seconds
    if not -math.inf < start < end < math.inf:
        raise Unusable(f"damaged: its timestamps give its sound a duration of {end - start:.2f} s")
    if max(start - seconds, -end) > AHEAD_SECONDS:
        raise Unusable(f"damaged: its pictures end at {seconds:.2f} s, its sound is from {start:.2f} to {end:.2f} s")


def _why_nothing(container: InputContainer) -> str:
    coded = [s for s in (*container.streams.video, *container.streams.audio) if s.codec_context is None]
    if coded:
        return without_decoder(container) or "no decoder for what is in it"
    return "no video and no sound"


def _with_pictures(path: str, stream: VideoStream, track: Track, deadline: Deadline) -> Inspection:
    seen = check_pictures(path, stream, track, deadline=deadline)
    count = len(seen.clock.frame_times)
    return Inspection(
        kind="video",
        duration_seconds=seen.duration_seconds,
        width=seen.clock.width,
        height=seen.clock.height,
        frame_count=count,
        frame_rate=count / seen.duration_seconds if count > 1 else 0.0,
        flags=("still",) * seen.still + ("cut",) * seen.cut,
        clock=seen.clock,
    )


def _with_sound(path: str, found: Inspection, stream: AudioStream, track: Track, deadline: Deadline) -> Inspection:
    heard = check_sound(path, found.clock, stream, track, deadline=deadline)
    clock = heard.clock
    alone = not clock.has_video
    return replace(
        found,
        duration_seconds=clock.audio_end_seconds if alone else found.duration_seconds,
        audio_rate=clock.audio_rate,
        audio_channels=heard.channels,
        audio_start_seconds=clock.audio_start_seconds,
        audio_end_seconds=clock.audio_end_seconds,
        flags=found.flags + ("silent",) * heard.silent + ("joined",) * heard.joined,
        clock=clock,
    )
