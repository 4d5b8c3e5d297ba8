"""For all tests: the engines that this user has built are none of their business."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_engines_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("STREAMSEG_CACHE")
    os.environ["STREAMSEG_CACHE"] = str(Path(tmp_path_factory.mktemp("cache")) / "engines")
    yield
    if before is None:
        del os.environ["STREAMSEG_CACHE"]
    else:
        os.environ["STREAMSEG_CACHE"] = before


@pytest.fixture(autouse=True)
def _signals_stay_the_test_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line that runs within a test handles no signals: it would end the test runner."""
    monkeypatch.setattr("streamseg.cli.interrupts.install", lambda: None)
