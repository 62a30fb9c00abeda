"""What a request asks for, checked: numbers, choices, ranges, and bodies no larger than their bound."""

from __future__ import annotations

from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from avssl.search.rows import KINDS, Kind

_MOST_DIGITS = 12
_LONGEST_SECONDS = 1e7


async def body(request: Request, most: int) -> bytes:
    """What a request carries, read no further than the bound, whatever length it claims.

    Raises:
        HTTPException: it is larger.
    """
    claimed = digits(request.headers.get("content-length", "0"))
    refusal = HTTPException(413, f"at most {most >> 20 or 1} MB can be uploaded")
    if claimed is None or claimed > most:  # before a gigabyte is read of which nothing is kept
        raise refusal
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise refusal
    return bytes(content)


def kind_of(request: Request, name: str) -> Kind:
    return cast(Kind, one_of(request, name, KINDS))


def one_of(request: Request, name: str, known: tuple[str, ...]) -> str:
    """The value of a parameter that has one of a few; the first is its default."""
    value = request.query_params.get(name, known[0])
    if value not in known:
        raise HTTPException(400, f"{name} must be one of {', '.join(known)}")
    return value


def whole(request: Request, name: str, default: int) -> int:
    value = digits(request.query_params.get(name, str(default)))
    if value is None:
        raise HTTPException(400, f"{name} must be a whole number, not negative")
    return value


def digits(text: str) -> int | None:
    """A whole number of a length that somebody means; Python itself refuses thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None


def seconds_of(request: Request, name: str) -> float:
    try:
        value = float(request.query_params.get(name, "0"))
    except ValueError:
        value = float("nan")
    if not 0 <= value < _LONGEST_SECONDS:
        raise HTTPException(400, f"{name} must be a number of seconds")
    return value


def ranged(asked: str, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """The content, or the part of it that is asked for: players seek, and Safari plays nothing without."""
    headers = {"Accept-Ranges": "bytes", **headers}
    first, dash, last = asked.removeprefix("bytes=").partition("-")
    low, high = digits(first), digits(last)
    # Of several ranges and of nonsense the whole is sent, which RFC 9110 allows.
    if not dash or (first and low is None) or (last and high is None) or (low is None and high is None):
        return Response(content, media_type=media_type, headers=headers)
    if low is None:  # "bytes=-500": so many from the end
        low, high = max(len(content) - (high or 0), 0), None
    high = len(content) - 1 if high is None else min(high, len(content) - 1)
    if low > high:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {low}-{high}/{len(content)}"
    return Response(content[low : high + 1], 206, headers, media_type)
