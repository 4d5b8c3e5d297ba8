"""The page in a real browser: Debian's chromium, through playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamseg.page.screen import Screen
from streamseg.page.server import PageServer
from tests.streamseg.page.player import opened, playing

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt install chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = opened()
    with playing(screen):
        yield screen
    screen.finish()


@pytest.fixture
def server(screen: Screen) -> Iterator[PageServer]:
    with PageServer(screen, port=0, most_viewers=2) as server:
        yield server


def opened_page(chromium: Any, address: str, **context: Any) -> Any:
    page = chromium.new_context(**context).new_page()
    page.said = []
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#picture:not([hidden])")
    return page


def wait_until(page: Any, true: Callable[[], bool], seconds: float = 20.0) -> None:
    """A function inside the page would need what its security policy forbids."""
    for _ in range(round(seconds / 0.1)):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {seconds} s")


def moves(page: Any) -> bool:
    before = page.evaluate(PIXELS)
    page.wait_for_timeout(300)
    return bool(page.evaluate(PIXELS) != before)


PIXELS = """() => {
    const picture = document.getElementById("picture");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 16;
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0, 16, 16);
    return Array.from(pen.getImageData(0, 0, 16, 16).data).join();
}"""


def test_the_picture_moves_and_controls_act(
    chromium: Any, server: PageServer, screen: Screen
) -> None:
    page = opened_page(chromium, server.address)
    wait_until(page, lambda: moves(page))
    page.select_option("#mode", "mask")
    page.fill("#alpha", "0.8")
    page.locator("#classes input").first.uncheck()
    wait_until(page, lambda: len(screen.draw.classes or ()) == 2)
    assert screen.draw.mode == "mask"
    wait_until(page, lambda: screen.draw.alpha == 0.8)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_selector("#paused:not([hidden])")
    wait_until(page, lambda: not moves(page))
    assert not moves(page)
    assert page.locator("#events li").count() >= 1
    assert page.said == []


def test_two_viewers_look_and_a_third_is_told(chromium: Any, server: PageServer) -> None:
    pages = [opened_page(chromium, server.address) for _ in range(2)]
    answer = pages[0].request.get(f"{server.address}stream.mjpg")
    assert answer.status == 503
    pages[0].close()
    state = f"{server.address}api/state"
    wait_until(pages[1], lambda: pages[1].request.get(state).json()["viewers"] == 1)
    opened_page(chromium, server.address)


def test_the_page_finds_a_server_that_was_started_again(chromium: Any, screen: Screen) -> None:
    first = PageServer(screen, port=0)
    page = opened_page(chromium, first.address)
    first.close()
    page.wait_for_selector("#state[data-state=away]")
    with PageServer(screen, port=first.port):
        page.wait_for_selector("#state[data-state=live]")
        wait_until(page, lambda: moves(page))


def test_a_phone_in_the_dark_has_it_all(chromium: Any, server: PageServer) -> None:
    page = opened_page(
        chromium,
        server.address,
        viewport={"width": 360, "height": 740},
        color_scheme="dark",
        is_mobile=True,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert sum(int(part) for part in colour[4:-1].split(",")) < 150
    for name in ("pause", "snapshot", "mode", "alpha", "classes", "chart-fps"):
        assert page.locator(f"#{name}").is_visible()


def test_a_token_behind_the_address_opens_the_page(
    chromium: Any, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.page.server.is_loopback", lambda host: False)
    with PageServer(screen, port=0) as server:
        assert server.token is not None
        page = opened_page(chromium, server.address)
        assert server.token not in page.url
        stranger = chromium.new_context().new_page()
        stranger.goto(server.address.split("#")[0])
        stranger.wait_for_selector("#trouble:not([hidden])")
        assert "token" in stranger.inner_text("#trouble")
