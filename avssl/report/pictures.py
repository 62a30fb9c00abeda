"""Pictures in a page, compressed as far as looks the same."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from avssl.errors import UserError
from avssl.system.files import whole_file

LIGHT = 60_000  # Bytes below which a file is taken as it is

WIDEST = 2000  # Pixels; wider pictures are reduced to it, since no screen shows more

QUALITY = 88  # of WebP, of 100


@dataclass(frozen=True)
class Picture:
    """A picture that needs no file: its data, size and name."""

    data: str
    width: int
    height: int
    name: str


def inlined(path: Path) -> Picture:
    """A PNG as a data URL: itself if it is light, else as WebP where that is smaller.

    Raises:
        OSError: it cannot be read, or is no picture.
    """
    raw = path.read_bytes()
    try:
        with Image.open(io.BytesIO(raw)) as opened:
            opened.load()
            image = opened.convert("RGBA" if "A" in opened.getbands() else "RGB")
    # What Pillow raises for damaged files; SyntaxError is that of a broken PNG.
    except (UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"no picture ({error})") from error
    content, kind = raw, "png"
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
        # A reduced picture is written anew, however light the file was.
        content = b""
    if len(raw) > LIGHT or not content:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=QUALITY, method=4)
        if not content or len(buffer.getvalue()) < len(content):
            content, kind = buffer.getvalue(), "webp"
    data = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(data, image.width, image.height, path.stem)


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a picture whole; the suffix names the format, PNG if it has none.

    Raises:
        UserError: the suffix names no format.
    """
    kind = Image.registered_extensions().get(path.suffix.lower()) if path.suffix else "PNG"
    if kind is None:
        raise UserError(f"{path}: no picture format has the suffix {path.suffix}; use .png or .jpg")
    # Encoded in memory first: a picture that cannot be written so leaves no file.
    buffer = io.BytesIO()
    image.save(buffer, kind)
    with whole_file(path) as file:
        file.write(buffer.getvalue())
