"""Every view of the page in a real browser, as a visitor with mouse, keyboard, microphone and phone uses it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from browser import PHONE, Opened, opened
from scipy.io import wavfile

pytest.importorskip("starlette", reason="starlette is not installed; make install-dev brings it")

from explored import HOSTILE, make_library, served

from avssl.explore.library import Library

pytestmark = pytest.mark.slow

SET_THRESHOLD = """end => { const slider = document.querySelectorAll('input[type=range]')[1];
    slider.value = slider[end]; slider.dispatchEvent(new Event('input')); }"""
PAINTED = """(() => { const canvas = document.querySelector('.screen canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0); })()"""
UNNAMED = """[...document.querySelectorAll('button, a, input:not([hidden]), canvas[tabindex], img')].filter(
    e => !(e.textContent.trim() || e.alt !== undefined || e.labels?.length || e.getAttribute('aria-label'))).length"""
FILM = "document.querySelector('.screen video')"
CARDS = "document.querySelectorAll('.card').length"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = make_library(tmp_path_factory.mktemp("explored"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(library: Library) -> Iterator[str]:
    with served(library) as where:
        yield where


def tone() -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, 8000, (9000 * np.sin(2 * np.pi * 600 * np.arange(16000) / 8000)).astype(np.int16))
    return buffer.getvalue()


def go(page: Opened, view: str) -> None:
    page.tab.evaluate(f"location.hash = '#/{view}'")
    page.tab.wait_for_timeout(100)


def test_all_moments_are_there_to_scroll_through_and_a_hostile_name_is_text(address):
    with opened(address) as page:
        assert page.becomes(f"{CARDS} === 40")
        assert page.tab.get_by_text(HOSTILE).first.is_visible()
        assert page.becomes("document.images[1].naturalWidth === 48")
        page.tab.keyboard.press("End")  # pictures further down are loaded once they are scrolled to
        assert page.becomes("[...document.images].at(-1).naturalWidth === 48")
        assert not page.faults and page.overhang() == 0


def test_a_moment_plays_in_its_place_and_one_at_a_time(address):
    with opened(address) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.locator(".stage").nth(0).click()
        assert page.becomes("document.querySelector('.card video')?.currentTime > 0.2")
        page.tab.locator(".stage").nth(5).click()
        assert page.becomes("document.querySelectorAll('.card video').length === 1")
        assert not page.faults


def test_a_moment_s_sound_finds_pictures_and_its_picture_sounds(address, library):
    with opened(address) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.locator(".card").nth(0).get_by_role("button", name="sound", exact=True).click()
        assert page.becomes("document.querySelector('.query') && document.querySelector('.meter')")
        own = library.index.rows_of(path=library.index.rows[0].path)
        expected = library.index.search(
            library.index.vectors("audio")[0], "image", of="audio", k=36, leave_out=own, per_file=2
        )
        names = page.tab.locator(".card .name").all_text_contents()  # what is out of sight has no inner text
        assert names == [one.moment.path.rpartition("/")[2] for one in expected]
        assert "of unrelated pairs" in page.tab.locator(".card").nth(0).inner_text()
        page.tab.locator(".query label", has_text="sounds").click()
        assert page.becomes("document.querySelector('h2').textContent.startsWith('Sounds')")
        page.tab.get_by_role("button", name="clear").click()
        assert page.becomes(f"{CARDS} === 40") and not page.faults


def test_a_file_is_searched_with_and_a_wrong_one_is_refused_in_one_line(address):
    with opened(address) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.locator("#file").set_input_files({"name": "t.wav", "mimeType": "audio/wav", "buffer": tone()})
        assert page.becomes("document.querySelector('.query b')?.textContent === 't.wav'")
        assert page.becomes("document.querySelector('.meter')")
        assert not page.faults
        page.tab.locator("#file").set_input_files({"name": "t.txt", "mimeType": "text/plain", "buffer": b"words"})
        assert page.becomes("document.getElementById('message').textContent.startsWith('t.txt cannot be used')")
        assert page.tab.locator(".query b").inner_text() == "t.wav"


def test_a_sound_is_recorded_and_searched_with(address):
    with opened(address, permissions=["microphone"]) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.get_by_role("button", name="Record a sound").click()
        page.tab.wait_for_timeout(2500)
        page.tab.get_by_role("button", name="Stop, and search").click()
        assert page.becomes("document.querySelector('.query b')?.textContent.startsWith('recording.')")
        assert page.becomes("document.querySelector('.meter')") and not page.faults


def test_a_picture_is_taken_and_searched_with(address):
    with opened(address, permissions=["camera"]) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.get_by_role("button", name="Take a picture").click()
        assert page.becomes("document.querySelector('dialog video')?.videoWidth > 0")
        page.tab.get_by_role("button", name="Take it").click()
        assert page.becomes("document.querySelector('.query b')?.textContent === 'camera.jpg'") and not page.faults


def test_heat_lies_over_a_clip_while_it_plays_and_another_sound_can_be_laid_under_it(address):
    with opened(address) as page:
        go(page, "where/0")
        assert page.becomes(f"{FILM}?.readyState >= 2")
        page.tab.evaluate(SET_THRESHOLD, "min")
        page.tab.evaluate(f"{FILM}.play()")
        assert page.becomes(PAINTED) and page.becomes(f"{FILM}.currentTime > 0.3")
        page.tab.evaluate(SET_THRESHOLD, "max")
        assert page.becomes("!document.querySelector('.nothing').hidden")
        sound = {"name": "t.wav", "mimeType": "audio/wav", "buffer": tone()}
        page.tab.locator("input[type=file]").set_input_files(sound)
        assert page.becomes(f"{FILM}.src.includes('sound=') && {FILM}.readyState >= 2")
        assert not page.faults


def test_a_clip_without_sound_says_so(address, library):
    row = next(k for k, moment in enumerate(library.index.rows[:]) if moment.path.endswith("003.mp4"))
    with opened(address) as page:
        go(page, f"where/{row}")
        assert page.becomes("document.body.innerText.includes('has no sound')")


def test_points_of_the_map_are_peeked_at_and_listed_by_a_lasso(address):
    with opened(address) as page:
        go(page, "map")
        assert page.becomes("document.querySelector('.mapbox canvas')?.width > 300")
        page.tab.wait_for_timeout(500)
        box = page.tab.locator(".mapbox canvas").bounding_box()
        corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.3)]
        mouse = page.tab.mouse
        mouse.move(box["x"] + 4, box["y"] + 4)
        mouse.down()
        for across, down in corners:
            mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=4)
        mouse.up()
        assert page.becomes(f"{CARDS} === 40") and not page.faults


def test_puzzles_are_solved_with_the_keys_to_its_scores(address):
    with opened(address) as page:
        go(page, "puzzle")
        assert page.becomes("document.querySelector('.choices button')", 40)
        for _ in range(3):
            page.tab.keyboard.press("1")
        page.tab.get_by_role("button", name="end after 3").click()
        assert page.becomes("document.querySelectorAll('.scores tbody tr').length === 2")
        assert "of 3" in page.tab.locator(".scores").inner_text() and not page.faults


def test_the_report_of_the_run_is_shown(address):
    with opened(address) as page:
        go(page, "run")
        page.tab.frame_locator("iframe").locator("h1").wait_for(timeout=30_000)
        assert page.tab.frame_locator("iframe").locator("h1").inner_text() == "run"


@pytest.mark.parametrize("view", ["search", "where/0", "map", "puzzle"])
def test_every_view_fits_a_phone_in_the_dark(address, view):
    with opened(address, PHONE, color_scheme="dark") as page:
        go(page, view)
        page.tab.wait_for_timeout(1500)
        assert page.overhang() == 0
        assert page.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 29)"


def test_whoever_uses_the_keyboard_gets_everywhere(address):
    with opened(address) as page:
        page.becomes(f"{CARDS} > 3")
        page.tab.keyboard.press("Tab")
        assert page.tab.evaluate("document.activeElement.className") == "skip"
        page.tab.locator(".stage").nth(0).focus()
        page.tab.keyboard.press("ArrowRight")
        assert page.tab.evaluate("[...document.querySelectorAll('.stage')].indexOf(document.activeElement)") == 1
        page.tab.keyboard.press("Enter")
        assert page.becomes("document.activeElement.querySelector('video')")
        assert page.tab.evaluate(UNNAMED) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_the_command_serves_until_a_signal_waits_for_nobody_and_leaves_no_folder(library, tmp_path, number, status):
    words = ["explore", str(library.run.path), "--index", str(library.index.path), "--no-browser", "--port", "0"]
    command = [sys.executable, "-m", "avssl", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
            about = json.load(urllib.request.urlopen(address + "api/about", timeout=60))
            assert about["moments"] == len(library.index)
            visitor = threading.Thread(target=_ask, args=(address + "api/puzzles/av-correspondence",), daemon=True)
            visitor.start()
            assert list(tmp_path.glob("avssl-explore-*"))
            time.sleep(0.2)
            process.send_signal(number)
            assert process.wait(20) == status
            assert not list(tmp_path.iterdir())
        finally:
            process.kill()


def _ask(address: str) -> None:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(address, timeout=60).read()
