"""Decoding forward from a key frame: only the frames that the requested ones depend on."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.media.containers.references import References
from avssl.media.decoding.trusted_frames import decoded


class Walk:
    """A group of pictures being decoded. It may stop at a wanted picture and later continue to one further ahead.

    Pictures that no other refers to are skipped unless they are wanted; the wanted ones are the same, bit by bit, as in
    a full decoding. At the first sign of damage it ends.

    Args:
        source: packets of the stream from the key frame on.
        key: number of the key frame in the clock.
        first_seconds: container time of the first wanted picture.
        from_key: skip packets before the first key frame.
    """

    def __init__(
        self,
        source: Iterator[Packet[VideoStream]],
        stream: VideoStream,
        key: int,
        first_seconds: float,
        *,
        from_key: bool,
    ) -> None:
        self.key = key
        self._tick = float(stream.time_base or 1)
        self._references = References(stream)
        self._wanted: Collection[int] = ()
        self._passed_over: set[int] = set()
        self._shown: int | None = None
        self.is_whole = True
        self._frames = self._decoded(source, first_seconds, from_key)

    @property
    def may_go_on(self) -> bool:
        """Whether its decoder may be used again, here or after a seek."""
        return self.is_whole and self._references.keeps_parameters

    def reaches(self, key: int, seconds: Sequence[float]) -> bool:
        """Whether the pictures at these container times (ascending), of the group of this key frame, lie ahead."""
        ticks = self._ticks(seconds)
        ahead = self._shown is not None and min(ticks, default=self._shown) > self._shown
        return ahead and key == self.key and self.may_go_on and self._passed_over.isdisjoint(ticks)

    def frames(self, seconds: Sequence[float]) -> Iterator[tuple[int, VideoFrame]]:
        """The pictures at these container times (ascending), each with its place among them, up to any damage."""
        ticks = self._ticks(seconds)
        self._wanted = set(ticks)
        for frame in self._frames:
            if frame.pts is None:
                break
            self._shown = frame.pts
            if frame.pts in self._wanted:
                yield ticks.index(frame.pts), frame
            if frame.pts >= ticks[-1]:
                return
        self.is_whole = False  # damaged, or over

    def _ticks(self, seconds: Sequence[float]) -> list[int]:
        """The time stamps of pictures at these container times."""
        return [round(each / self._tick) for each in seconds]

    def close(self) -> None:
        self._frames.close()

    def _decoded(
        self, source: Iterator[Packet[VideoStream]], first_seconds: float, from_key: bool
    ) -> Generator[VideoFrame, None, None]:
        (first,) = self._ticks([first_seconds])

        def late(packet: Packet[VideoStream]) -> bool:
            return packet.pts is not None and packet.pts > first

        for item, whole in decoded(self._needed(source), from_key=from_key, late=late):
            if not whole or not isinstance(item, VideoFrame):
                return
            yield item

    def _needed(self, source: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        is_free = self._references.is_free
        for packet in source:
            # Called for every packet: a wanted one may bring parameter sets, too.
            if is_free(packet) and packet.pts is not None and packet.pts not in self._wanted:
                self._passed_over.add(packet.pts)
            else:
                yield packet
