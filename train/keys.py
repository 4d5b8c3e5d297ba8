"""Every key of a recipe as Markdown tables, from the dataclasses themselves.

    python -m train.keys docs/training.md

puts them between the two markers of that page; a test keeps the page equal to the code.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from train.recipe import DataConfig, DistilConfig, LoopConfig, LossConfig, ModelSpec, OptimConfig

TABLES: dict[str, type] = {
    "model": ModelSpec,
    "data": DataConfig,
    "optim": OptimConfig,
    "loss": LossConfig,
    "train": LoopConfig,
    "distil": DistilConfig,
}
START, END = "<!-- keys: python -m train.keys docs/training.md -->", "<!-- end of keys -->"


def field_docstrings(kind: type) -> dict[str, str]:
    """Field name to the string below it in the source, on one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = str(after.value.value) if is_text else ""  # type: ignore[attr-defined]
            found[field.target.id] = " ".join(text.split())
    return found


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def recipe_keys() -> str:
    """One heading and one table of key, default and meaning for each table of a recipe."""
    lines: list[str] = []
    for name, kind in TABLES.items():
        lines += [f"### `[{name}]`", "", "| key | default | meaning |", "|---|---|---|"]
        texts = field_docstrings(kind)
        for field in dataclasses.fields(kind):
            if (name, field.name) == ("model", "classes"):
                continue  # the data says it, not the recipe
            meaning = texts[field.name].replace("|", "\\|")
            lines.append(f"| `{field.name}` | `{_toml(field.default)}` | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def with_keys(page: str) -> str:
    """A page with what is between its markers replaced by `recipe_keys`."""
    before, rest = page.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}\n\n{recipe_keys()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_keys(path.read_text()))
