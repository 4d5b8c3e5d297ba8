from __future__ import annotations

from pathlib import Path

from train.keys import recipe_keys, with_keys

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_page_lists_every_key_as_the_code_has_it() -> None:
    page = PAGE.read_text()
    assert page == with_keys(page), "run: python -m train.keys docs/training.md"


def test_a_row_is_key_default_and_docstring() -> None:
    rows = recipe_keys().splitlines()
    assert "| `weight_decay` | `0.0001` | Added to the gradient by SGD and Adam (L2)" in "\n".join(
        row[:78] for row in rows
    )
    assert "| `betas` | `[0.9, 0.999]` | Adam and AdamW only: decay of the moments. |" in rows
    assert not any(row.startswith("| `classes` ") for row in rows)
