from __future__ import annotations

import re
from pathlib import Path

from train.data.counts import REMEMBER_FROM
from train.data.layouts import LAYOUTS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


def test_the_page_names_every_layout_and_links_to_what_it_has() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(#([\w-]+)\)", PAGE, re.MULTILINE)
    assert [layout for layout, _ in rows] == list(LAYOUTS)
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert {anchor for _, anchor in rows} <= anchors


def test_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"splits of\n{REMEMBER_FROM} files" in PAGE
