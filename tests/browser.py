"""A page opened in a real browser without a screen: what tests of HTML pages share.

The browser is a Chromium or Chrome of this machine, or the one that ``playwright install chromium`` fetched; Playwright
drives it. Without either a test is skipped, saying so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
ARGUMENTS = (
    "--no-sandbox",  # in a container everybody is root, and Chromium's sandbox refuses root
    "--mute-audio",  # sound goes nowhere, but it goes
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",  # a microphone that beeps, a camera that counts
    "--use-fake-ui-for-media-stream",
)
DESKTOP, PHONE = (1280, 900), (390, 844)


@dataclass
class Opened:
    """A page in a browser, and what went wrong while it was there.

    Attributes:
        tab: Playwright's page.
        faults: errors of the console and of scripts, and whatever the page asked of the network.
    """

    tab: Page
    faults: list[str] = field(default_factory=list)

    def picture_widths(self) -> list[int]:
        """The natural width of every picture; 0 of one that is not there."""
        wait = "Promise.all([...document.images].map(image => image.decode().catch(() => {})))"
        self.tab.evaluate(wait)
        widths: list[int] = self.tab.evaluate("[...document.images].map(image => image.naturalWidth)")
        return widths

    def overhang(self) -> int:
        """By how many pixels the page is wider than the window: 0 where nobody has to scroll sideways."""
        found: int = self.tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return max(found, 0)

    def becomes(self, condition: str, seconds: float = 20) -> bool:
        """Whether an expression of JavaScript comes true in time.

        Not Playwright's wait_for_function, which needs the eval that the pages' policy forbids.
        """
        for _ in range(round(seconds * 10)):
            if self.tab.evaluate(condition):
                return True
            self.tab.wait_for_timeout(100)
        return False


@contextmanager
def opened(page: Path | str, size: tuple[int, int] = DESKTOP, **settings: Any) -> Iterator[Opened]:
    """Open an HTML file or an address; ``settings`` are those of a Playwright context (``color_scheme="dark"``)."""
    address = page.as_uri() if isinstance(page, Path) else page
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed; make install-dev brings it")
    with api.sync_playwright() as play:
        own = Path(play.chromium.executable_path)
        program = next(filter(None, map(shutil.which, NAMES)), None) or (str(own) if own.exists() else None)
        if program is None:
            pytest.skip(
                "there is no Chromium or Chrome here to open the page with; CONTRIBUTING.md says how to get one"
            )
        browser = play.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
            found = Opened(context.new_page())
            _listen(found, address)
            found.tab.goto(address)
            yield found
        finally:
            browser.close()


def _listen(page: Opened, address: str) -> None:
    tab, faults = page.tab, page.faults
    tab.on("console", lambda message: faults.append(f"console: {message.text}") if message.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(f"script: {error}"))
    own = (address, "data:", "blob:")

    def asked(request: Request) -> None:
        if not request.url.startswith(own) and not request.is_navigation_request():  # a link that was followed is fine
            faults.append(f"asked for: {request.url}")

    tab.on("request", asked)
