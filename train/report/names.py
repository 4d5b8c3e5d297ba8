"""What networks are called in print, and what distinguishes the models of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from train.report.entry import Entry
from train.report.runs import Run
from train.report.words import printed


def backbone(run: Run) -> str:
    """The backbone's printed name."""
    return printed(run.setting("model", "backbone", "?"))


def head(run: Run) -> str:
    """The head's printed name."""
    return printed(run.setting("model", "head", "?"))


def network(run: Run | None) -> str:
    """Backbone, head, decoder and output stride in one phrase; a dash if no recipe is known."""
    if run is None or not run.recipe.get("model"):
        return "-"
    decoder = run.setting("model", "decoder", "none")
    parts = [backbone(run), head(run)]
    if decoder != "none":
        parts.append(f"{decoder} decoder")
    return f"{' + '.join(parts)}, stride {run.setting('model', 'output_stride', '?')}"


def varied(entries: Sequence[Entry], key: str, fixed: Sequence[str]) -> list[list[Entry]]:
    """Groups of entries that differ in ``model.key`` and agree in the `fixed` keys, largest first.

    Of entries with the same value the first is kept. Empty if no two differ.
    """
    groups: dict[tuple[object, ...], dict[object, Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.run is not None and entry.run.setting("model", key) is not None:
            group = tuple(str(entry.run.setting("model", name)) for name in fixed)
            groups[group].setdefault(entry.run.setting("model", key), entry)
    found = [list(group.values()) for group in groups.values() if len(group) > 1]
    return sorted(found, key=len, reverse=True)
