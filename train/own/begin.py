"""What is done before the first command: pictures checked and prepared, a recipe written.

A second run in the same folder takes up what the first one chose.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from train.console import make_bar
from train.data.check import check
from train.data.check_report import show
from train.data.prepare import PIXELS, Prepared, prepare
from train.errors import TrainError, UsageError
from train.own.journey import Journey

NOTE = "own.json"
"""File of a folder that says what it was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    pictures: Path
    output: Path
    folder: Path
    start: str | None
    """Name or file of the checkpoint to start from; None: the likeliest of the shipped ones."""
    minutes: float
    layout: str
    device: str
    threads: int | None

    @property
    def lasting(self) -> dict[str, Any]:
        """What a second run must ask for again to go on."""
        return {
            "output": str(self.output.resolve()),
            "pictures": str(self.pictures.resolve()),
            "from": self.start,
            "minutes": self.minutes,
        }

    @property
    def options(self) -> tuple[str, ...]:
        """For the training's command."""
        device = ("--device", self.device) if self.device != "auto" else ()
        return (*device, *(("--threads", str(self.threads)) if self.threads else ()))


def begin(asked: Asked, say: Callable[[str], None]) -> Journey:
    """Choose what to do, or take up what an earlier run of the same words chose.

    Raises:
        TrainError: something is wrong with the pictures.
        UsageError: the folder holds a run with other words.
    """
    note = asked.folder / NOTE
    if note.is_file():
        found = json.loads(note.read_text())
        before, now = found["asked"], asked.lasting
        if changed := [f"{k}: {before[k]} -> {now[k]}" for k in now if before[k] != now[k]]:
            raise UsageError(
                f"{asked.folder}: holds a run with other words ({', '.join(changed)}); give the "
                "same ones to go on, or another --folder"
            )
        say(f"going on in {asked.folder}, with the pictures and the recipe that it holds")
    else:
        prepared = _prepare(asked, say)
        found = {"asked": asked.lasting, **_choose(asked, prepared, say)}
        note.write_text(json.dumps(found, indent=2) + "\n")
    return Journey(
        folder=asked.folder,
        output=asked.output,
        init=Path(found["init"]),
        size=(found["size"][0], found["size"][1]),
        pictures=found["pictures"],
        options=asked.options,
    )


def is_output_of(output: Path, folder: Path) -> bool:
    """Whether a model file is what an earlier run in this folder wrote."""
    note = folder / NOTE
    if not note.is_file():
        return False
    made: str = json.loads(note.read_text())["asked"]["output"]
    return made == str(output.resolve())


def _prepare(asked: Asked, say: Callable[[str], None]) -> Prepared:
    bar = make_bar(Console(stderr=True))
    task = bar.add_task("reading", total=None)

    def report(what: str, done: int, of: int) -> None:
        bar.update(task, description=what, completed=done, total=of)

    with bar:
        found = check(asked.pictures, layout=asked.layout, report=report)
    show(found, Console())
    if found.serious:
        raise TrainError(f"{asked.pictures}: mend what is wrong, and type the same command again")
    with bar:
        prepared = prepare(
            asked.pictures, asked.folder / "pictures", layout=found.layout, report=report
        )
    if prepared.unused:
        say(f"left out, without a pixel: {', '.join(prepared.unused)}")
    return prepared


def _choose(asked: Asked, prepared: Prepared, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the recipe; what the commands after it need to know."""
    # Here, not at the top: what is wrong with the pictures must not wait for torch.
    import torch

    from train.device import choose_device
    from train.own import plan
    from train.own.pace import seconds_per_step

    if asked.threads:
        torch.set_num_threads(asked.threads)
    start = plan.choose_start(asked.start, prepared.classes)
    say(
        f"{prepared.train} pictures to train on, {prepared.val} to validate on, "
        f"{len(prepared.classes)} classes; from {start.name}, which knows "
        f"{plan.shared_classes(start, prepared.classes)} of them"
    )
    seconds = seconds_per_step(
        start.checkpoint.recipe.model,
        batch=plan.batch_of(prepared.train),
        crop=plan.crop_of(prepared.sizes),
        device=choose_device(asked.device),
    )
    wanted = plan.wanted_steps(prepared.train)
    steps = max(1, min(wanted, int(60 * asked.minutes / seconds)))
    say(f"{steps} steps of {seconds:.2f} s: about {in_minutes(steps * seconds)}")
    if steps < wanted:
        needed = wanted * seconds / 60
        say(f"{wanted} steps would be better; they need --minutes {needed:.0f}")
    text = plan.recipe_text(asked.output.stem, start, prepared, steps)
    (asked.folder / "recipe.toml").write_text(text)
    height, width = prepared.sizes[0]
    return {
        "init": str(start.path),
        "size": list(plan.video_size(height, width, PIXELS)),
        "pictures": prepared.train + prepared.val,
    }


def in_minutes(seconds: float) -> str:
    """A time for people."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
