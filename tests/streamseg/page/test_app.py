"""Routes, and who may use them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from streamseg.page.app import build_app
from streamseg.page.guard import MOST_BODY
from streamseg.page.screen import Screen
from tests.streamseg.page.player import item, opened

HOME = "http://127.0.0.1:8008"


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = opened()
    screen.take(item(0))
    yield screen
    screen.finish()


@pytest.fixture
def browser(screen: Screen) -> TestClient:
    return TestClient(build_app(screen, token=None), base_url=HOME)


@pytest.fixture
def stranger(screen: Screen) -> TestClient:
    """One who looks from another machine, and has no token."""
    return TestClient(build_app(screen, token="right"), base_url="http://studio:8008")


def test_the_page_and_its_files_are_there(browser: TestClient) -> None:
    page = browser.get("/")
    assert page.status_code == 200
    for part in ("static/page.js", "static/page.css", "static/icon.svg"):
        assert part in page.text
        assert browser.get(f"/{part}").status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert "style=" not in page.text


def test_drawing_is_changed_and_read_back(browser: TestClient) -> None:
    name = browser.get("/api/state").json()["classes"][1]["name"]
    said = browser.post("/api/draw", json={"alpha": 0.25, "classes": [name]}).json()
    assert said["draw"]["alpha"] == 0.25
    assert [entry["drawn"] for entry in said["classes"]] == [False, True, False]
    assert browser.post("/api/draw", json={"mode": "replace"}).status_code == 200
    assert browser.post("/api/draw", json={"mode": "overlay"}).json()["draw"]["mode"] == "overlay"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": "much"}, "alpha cannot be 'much'"),
        ({"alpha": True}, "alpha cannot be True"),
        ({"alpha": 7}, "between 0 and 1"),
        ({"palette": "/etc/passwd"}, "unknown palette"),
        ({"mode": "replace", "background": "/etc/passwd"}, "must be a colour"),
        ({"classes": [1]}, "must be names"),
        ({"wipe": 1}, "unknown: wipe"),
        ([1], "no JSON object"),
    ],
)
def test_what_cannot_be_is_one_sentence(browser: TestClient, changes: object, words: str) -> None:
    answer = browser.post("/api/draw", json=changes)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_requests_are_bounded(browser: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MOST_BODY // 1000 + 2):
            yield b"x" * 1000

    assert browser.post("/api/draw", content=b"x" * (MOST_BODY + 1)).status_code == 413
    assert browser.post("/api/draw", content=endless()).status_code == 413
    deep = b"[" * 60_000
    assert browser.post("/api/draw", content=deep).status_code == 400


def test_numbers_for_machines(browser: TestClient) -> None:
    assert browser.get("/healthz").json() == {"state": "live"}
    text = browser.get("/metrics").text
    assert 'streamseg_source_state{state="live"} 1' in text
    assert text.count("# TYPE streamseg_class_share") == 1
    assert browser.get("/snapshot.jpg").content.startswith(b"\xff\xd8")


def test_other_names_for_this_machine_are_refused(browser: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert browser.get("/api/state", headers={"host": host}).status_code == 421
    for host in ("localhost:8008", "[::1]:8008"):
        assert browser.get("/api/state", headers={"host": host}).status_code == 200


def test_other_sites_change_nothing(browser: TestClient) -> None:
    def change(origin: str) -> int:
        answer = browser.post("/api/draw", json={"alpha": 0.1}, headers={"origin": origin})
        return int(answer.status_code)

    assert change("http://evil.example") == 403
    assert change("null") == 403
    assert change(HOME) == 200


def test_a_stranger_sees_an_empty_page_until_the_token_is_shown(stranger: TestClient) -> None:
    assert stranger.get("/").status_code == 200
    for path in ("/api/state", "/metrics", "/snapshot.jpg", "/stream.mjpg"):
        assert stranger.get(path).status_code == 401
    assert stranger.get("/metrics", headers={"authorization": "Bearer right"}).status_code == 200
    assert stranger.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert stranger.post("/api/login", json={"token": "wrong"}).status_code == 401
    entered = stranger.post("/api/login", json={"token": "right"})
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "SameSite=strict" in entered.headers["set-cookie"]
    assert stranger.get("/api/state").status_code == 200
