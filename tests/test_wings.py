"""Wings of a package and the arrows between them, as docs/architecture.md draws them.

A wing is the first path component below the package; a module at its top is a wing of its own. The
page has a block a package::

    ```arrows PACKAGE
    WING -> WING ...
    ```

Imports are read from the source, those inside functions and under ``TYPE_CHECKING`` too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"

Graph = dict[str, set[str]]
"""Names to the names that they point at."""


def drawn_blocks(text: str) -> dict[str, Graph]:
    """The arrows of each package that a page draws."""
    blocks: dict[str, Graph] = {}
    for package, body in re.findall(r"^```arrows (\S+)\n(.*?)^```$", text, re.M | re.S):
        assert package not in blocks, f"{package} is drawn twice"
        arrows: Graph = {}
        for line in body.splitlines():
            wing, arrow, others = line.partition(" -> ")
            assert arrow, f"not an arrow: {line!r}"
            assert wing not in arrows, f"{wing} has two lines"
            arrows[wing] = set(others.split())
        blocks[package] = arrows
    return blocks


def modules_of(root: Path, package: str) -> dict[str, Path]:
    """Dotted names of a package's modules; a folder's name is its ``__init__``."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, module: str) -> set[str]:
    """Dotted names that a file may mean by its imports, wherever in it they stand."""
    names: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            start = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def module_graph(root: Path, package: str) -> Graph:
    """Which module imports which, within a package.

    ``from a.b import c`` is an arrow to ``a.b.c`` if that is a module, else to ``a.b``. That Python
    runs ``a/__init__.py`` on the way is none: whoever writes ``a.b`` does not ask for it.
    """
    files = modules_of(root, package)
    graph: Graph = {}
    for module, path in files.items():
        graph[module] = set()
        for name in imports_of(path, module):
            found = name if name in files else name.rpartition(".")[0]
            if found in files and found != module:
                graph[module].add(found)
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One way round, its first name again at the end; empty if there is none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*way, name]):
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        if found := visit(name, []):
            return found
    return []


def wing_arrows(graph: Mapping[str, set[str]], package: str) -> set[tuple[str, str]]:
    """Arrows between wings; the package's own ``__init__`` and ``__main__`` may point anywhere."""
    exempt = {package, f"{package}.__main__"}
    return {
        (here.split(".")[1], there.split(".")[1])
        for here, others in graph.items()
        for there in others
        if not {here, there} & exempt and here.split(".")[1] != there.split(".")[1]
    }


DRAWN = drawn_blocks(PAGE.read_text(encoding="utf-8"))


def test_the_page_draws_train() -> None:
    assert "train" in DRAWN


@pytest.mark.parametrize("package", DRAWN)
def test_no_import_goes_round(package: str) -> None:
    assert circle(module_graph(ROOT, package)) == []


@pytest.mark.parametrize("package", DRAWN)
def test_arrows_between_wings_are_those_of_the_page(package: str) -> None:
    found = wing_arrows(module_graph(ROOT, package), package)
    drawn = {(wing, other) for wing, others in DRAWN[package].items() for other in others}
    assert sorted(found - drawn) == [], "imported, not drawn"
    assert sorted(drawn - found) == [], "drawn, not imported"


@pytest.mark.parametrize("package", DRAWN)
def test_drawn_arrows_go_one_way(package: str) -> None:
    assert circle(DRAWN[package]) == []


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    files = {
        "house/__init__.py": "",
        "house/__main__.py": "import house.top",
        "house/top.py": "from house.wing import one\nfrom .wing.two import name",
        "house/wing/__init__.py": "",
        "house/wing/one.py": "def late():\n    from house.wing.two import name",
        "house/wing/two.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import one\nname = 1"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    graph = module_graph(tmp_path, "house")
    assert graph["house.top"] == {"house.wing.one", "house.wing.two"}
    assert circle(graph) == ["house.wing.one", "house.wing.two", "house.wing.one"]
    assert wing_arrows(graph, "house") == {("top", "wing")}


def test_a_block_is_read_as_it_is_drawn() -> None:
    page = "```arrows house\ntop -> a b\na -> b\n```\n```\nx -> y\n```\n"
    assert drawn_blocks(page) == {"house": {"top": {"a", "b"}, "a": {"b"}}}
    assert circle({"a": {"b"}, "b": {"a"}}) == ["a", "b", "a"]
