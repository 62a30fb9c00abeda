"""What yt-dlp says of a video it cannot give is told apart: dead, and why; to be left in peace; to be tried again."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from avssl.errors import UserError
from avssl.media.fetching.download import _outcome_of, _yt_dlp
from avssl.media.fetching.pace import seconds_of


class NoAnswer(Exception):
    status: int | None = None


class SiteError(Exception):
    """As yt-dlp's: what it met, in ``exc_info``."""

    exc_info: tuple[object, object, object] | None = None


def outcome(text: str, status: int | None = None, *, met: bool = False) -> tuple[str, str, bool]:
    error = SiteError(f"\x1b[0;31mERROR:\x1b[0m [youtube] aaaaaaaaaaa: {text}")
    if met or status is not None:
        cause = NoAnswer()
        cause.status = status
        error.exc_info = (NoAnswer, cause, None)
    found = _outcome_of(error, NoAnswer)
    assert "\x1b" not in found.reason
    return found.state, found.kind, found.forbidden


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Video unavailable. This video has been removed by the uploader", "gone"),
        ("Private video. Sign in if you've been granted access to this video", "private"),
        ("Join this channel to get access to members-only content like this video", "private"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", "age"),
        ("The uploader has not made this video available in your country", "region"),
    ],
)
def test_a_dead_video_is_dead_for_its_own_reason(text: str, kind: str) -> None:
    assert outcome(text) == ("dead", kind, False)


@pytest.mark.parametrize(
    "text",
    [
        "Sign in to confirm you’re not a bot. Use --cookies-from-browser",
        "Video unavailable. This content isn't available, try again later. The current session has been rate-limited",
    ],
)
def test_a_host_that_has_had_enough_does_not_make_a_video_dead(text: str) -> None:
    assert outcome(text) == ("failed", "refused", False)


def test_a_status_says_more_than_the_words_beside_it() -> None:
    assert outcome("HTTP Error 503: Service Unavailable", 503) == ("failed", "refused", False)
    assert outcome("HTTP Error 429: Too Many Requests", 429) == ("failed", "refused", False)
    assert outcome("HTTP Error 500: Internal Server Error", 500) == ("failed", "unreachable", False)
    assert outcome("HTTP Error 404: Not Found", 404) == ("dead", "gone", False)
    assert outcome("HTTP Error 403: Forbidden", 403) == ("dead", "private", True)


def test_how_long_a_host_wants_to_be_left_alone_is_read_from_its_answer() -> None:
    assert [seconds_of(text) for text in ("120", " 0 ", "soon", "", "-3", "Wed, 21 Oct 2015 07:28:00 GMT")] == [
        120.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ]  # fmt: skip
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < seconds_of(in_a_minute) <= 60


def test_no_answer_at_all_may_pass() -> None:
    assert outcome("Unable to download webpage: name resolution is not available", met=True) == (
        "failed", "unreachable", False,
    )  # fmt: skip


def test_without_yt_dlp_the_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(UserError, match="avssl fetch needs the package yt-dlp; pip install"):
        _yt_dlp()
