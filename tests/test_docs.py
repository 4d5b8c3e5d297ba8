"""The examples of README and docs are run as they stand, on small clips and drawn data sets.

A block that cannot be run here (a camera, a GPU, a network, minutes of training) has a line

    <!-- not run: why -->

before it in the page's source. Of those, and of commands between words, the options are checked.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks, commands, spans
from tests.docs.examples import ROOT, draw_names, run, unknown_options

PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("names")
    draw_names(folder)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(
    page: str, names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_run = [block for block in blocks(ROOT / page, page) if block.not_run is None]
    to_run = [block for block in to_run if block.kind == "python" or commands(block)]
    folder = tmp_path / "here"
    shutil.copytree(names, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("streamseg.functions.street_clip", lambda: names / "in.mp4")
    namespace: dict[str, object] = {}
    for block in to_run:
        run(block, namespace)


@pytest.mark.parametrize("page", PAGES)
def test_the_options_of_all_commands_of_a_page_exist(page: str) -> None:
    found = blocks(ROOT / page, page)
    lines = [(b.line, words) for b in found if b.kind == "shell" for words in commands(b)]
    wrong = [
        f"{page}:{line}: {' '.join(words)}: no {', '.join(missing)}"
        for line, words in [*lines, *spans(ROOT / page)]
        if words and (missing := unknown_options(words))
    ]
    assert wrong == []


def test_a_mark_is_of_the_block_behind_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs a camera -->\n\n    streamseg webcam  # camera 0\n\n"
        "Words.\n\n    streamseg video in.mp4 \\\n        out.mp4 && streamseg models\n\n"
        "```python\nprint(1)\n```\n"
    )
    camera, video, python = blocks(page, "page.md")
    assert (camera.not_run, video.not_run, python.not_run) == ("needs a camera", None, None)
    assert camera.place == "page.md:3"
    assert commands(camera) == [["streamseg", "webcam"]]
    assert commands(video) == [["streamseg", "video", "in.mp4", "out.mp4"], ["streamseg", "models"]]
    assert (python.kind, python.text, python.line) == ("python", "print(1)", 11)


def test_a_command_that_is_not_there_is_found() -> None:
    assert unknown_options(["streamseg", "vidoe", "in.mp4"]) == ["vidoe"]
    assert unknown_options(["streamseg", "video", "a", "b", "--colour=red"]) == ["--colour"]
    assert unknown_options(["python", "-m", "train", "data", "check", "D", "--jsn"]) == ["--jsn"]
    assert unknown_options(["python", "-m", "train", "RECIPE", "--data", "D"]) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation site; it is not built if a link is broken or a page not in mkdocs.yml."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("the extra docs is not installed")
    folder: Path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_brings_along_what_pages_link_to_beside_docs(site: Path) -> None:
    assert (site / "repo" / "train" / "recipes" / "mbv2_camvid.toml").is_file()
    links = re.findall(r'href="([^"]+)"', (site / "install" / "index.html").read_text())
    assert "../repo/CONTRIBUTING/" in links
    # And back, from a page that was brought along.
    links = re.findall(r'href="([^"]+)"', (site / "repo/CONTRIBUTING/index.html").read_text())
    assert "../../architecture/" in links


def test_the_site_says_all_of_the_python_api(site: Path) -> None:
    import streamseg

    page = (site / "api" / "index.html").read_text()
    headings = set(re.findall(r'<h\d id="streamseg\.(?:\w+\.)*(\w+)"', page))
    assert set(streamseg.__all__) - {"__version__"} <= headings


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    for path in (site / "index.html", site / "api" / "index.html"):
        fetched = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="([^"]+)"', path.read_text())
        assert fetched
        assert [name for name in fetched if name.startswith(("http", "//"))] == []
