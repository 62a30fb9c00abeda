"""What ``avssl doctor`` reads tells a reader that is right from one that is a frame off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avssl.experiment import reader_checks
from avssl.media.opening import open_media


class FrameEarly:
    """A collection that shows the frame before the one that was asked for."""

    def __init__(self, media: Any) -> None:
        self.media = media

    def frames(self, i: int, times: Sequence[float]) -> NDArray[np.uint8]:
        shown: NDArray[np.uint8] = self.media.frames(i, [max(time - 1 / reader_checks.FPS, 0.0) for time in times])
        return shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self.media, name)


def test_a_reader_that_shows_the_frame_before_is_found(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    reader_checks._write(clip)
    media = open_media(clip, index=tmp_path / "index", workers=0, progress=False)
    assert "a tone of 1000 Hz" in reader_checks._compared(media)
    with pytest.raises(reader_checks.WrongAnswer, match="brightness"):
        reader_checks._compared(FrameEarly(media))  # type: ignore[arg-type]
