"""Where each recipe comes from, and where it departs: Markdown tables from the recipes themselves.

    python -m train.sources docs/sources.md

puts them between the two markers of that page; a test keeps the page equal to the recipes. They say
it in their first lines, one comment each::

    # Source: report 002; DeepLabV3 (Chen et al. 2017)
    # Published parameters: 39,703,423 (report 002)
    # Departure: WHAT: what the source has | what ours has | why
"""

from __future__ import annotations

import dataclasses
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from train.data.cocostuff import COCO_STUFF
from train.models import build_model
from train.recipe import load_recipe

RECIPES = Path(__file__).parent / "recipes"
START, END = "<!-- sources: python -m train.sources docs/sources.md -->", "<!-- end of sources -->"
CLASSES = {"cityscapes": 19, "voc": 21, "voc_aug": 21, "cocostuff10k": len(COCO_STUFF)}
"""Classes of the reports' data sets, by layout: a part of the parameters depends on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One way in which a recipe is not its source."""

    what: str
    theirs: str
    ours: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the first lines of a recipe say about where it comes from."""

    name: str
    source: str
    published: str
    """A number of parameters and who has it; empty where none was found."""
    departures: tuple[Departure, ...]
    parameters: int
    """Of the network that the recipe builds, auxiliary head included."""

    @property
    def published_parameters(self) -> float | None:
        """The number in `published`."""
        if not self.published:
            return None
        number, unit = re.match(r"([\d.,]+)( M)?", self.published).groups()  # type: ignore[union-attr]
        return float(number.replace(",", "")) * (1e6 if unit else 1)


def count_parameters(path: Path) -> int:
    """Parameters of a recipe's network for its data set's classes."""
    recipe = load_recipe(path)
    spec = dataclasses.replace(recipe.model, classes=CLASSES[recipe.data.layout])
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(spec).parameters())


def read_origin(path: Path) -> Origin:
    """The origin of a recipe.

    Raises:
        ValueError: it names no source, or a departure is not in three parts.
    """
    said: dict[str, list[str]] = {"Source": [], "Published parameters": [], "Departure": []}
    for line in path.read_text().splitlines():
        found = re.match(rf"# ({'|'.join(said)}): (.+)", line)
        if found:
            said[found[1]].append(found[2])
    if len(said["Source"]) != 1:
        raise ValueError(f"{path}: needs one line '# Source: ...'")
    departures = []
    for text in said["Departure"]:
        what, colon, rest = text.partition(": ")
        parts = [part.strip() for part in rest.split("|")]
        if not colon or len(parts) != 3:
            raise ValueError(f"{path}: '# Departure: {text}' is not WHAT: theirs | ours | why")
        departures.append(Departure(what=what, theirs=parts[0], ours=parts[1], why=parts[2]))
    return Origin(
        name=path.stem,
        source=said["Source"][0],
        published=", ".join(said["Published parameters"]),
        departures=tuple(departures),
        parameters=count_parameters(path),
    )


def origins() -> list[Origin]:
    """Of all recipes of the reports."""
    return [read_origin(path) for path in sorted(RECIPES.glob("00?_*.toml"))]


def _short(names: list[str], everything: list[str]) -> str:
    """Recipes' names, or that they are all of a report."""
    parts = []
    for report in sorted({name[:3] for name in names}):
        mine = [name for name in names if name.startswith(report)]
        whole = [name for name in everything if name.startswith(report)]
        parts.append(f"all of {report}" if mine == whole and len(mine) > 1 else ", ".join(mine))
    return ", ".join(parts)


def source_tables() -> str:
    """Two tables: sources and parameters, and departures with the recipes that share them."""
    found = origins()
    lines = ["| recipe | source | parameters | published |", "|---|---|---|---|"]
    for origin in found:
        published = origin.published or "-"
        lines.append(f"| `{origin.name}` | {origin.source} | {origin.parameters:,} | {published} |")
    lines += ["", "| what | source | ours | why | recipes |", "|---|---|---|---|---|"]
    shared: dict[Departure, list[str]] = {}
    for origin in found:
        for departure in origin.departures:
            shared.setdefault(departure, []).append(origin.name)
    everything = [origin.name for origin in found]
    for departure, names in shared.items():
        cells = (departure.what, departure.theirs, departure.ours, departure.why)
        lines.append(f"| {' | '.join(cells)} | {_short(names, everything)} |")
    return "\n".join(lines)


def with_sources(page: str) -> str:
    """A page with what is between its markers replaced by `source_tables`."""
    before, rest = page.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}\n\n{source_tables()}\n\n{END}{after}"


if __name__ == "__main__":
    page_path = Path(sys.argv[1])
    page_path.write_text(with_sources(page_path.read_text()))
