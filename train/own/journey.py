"""The commands between labelled pictures and a model file, and what of them is done already.

Each is a command of its own: what is run here is printed, and can be typed. Later rooms are
reached by their commands alone; nothing here imports them.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from train.errors import TrainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One command."""

    title: str
    """What it does, in a word or two."""
    words: tuple[str, ...]
    """What follows ``python -m``."""
    may_fail: str = ""
    """What is lost if it fails; empty: then nothing after it is worth doing."""

    def typed(self) -> str:
        """As one types it."""
        return shlex.join(("python", "-m", *self.words))


def _stage(title: str, *words: object, may_fail: str = "") -> Stage:
    return Stage(title=title, words=tuple(str(word) for word in words), may_fail=may_fail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """Where everything lies, and with what it is done."""

    folder: Path
    """Keeps prepared pictures, recipe, run and report."""
    output: Path
    """The model file."""
    init: Path
    size: tuple[int, int]
    """Height and width that videos are seen at."""
    pictures: int
    options: tuple[str, ...] = field(default=())
    """``--device`` and ``--threads``, for the training."""

    @property
    def data(self) -> Path:
        """Pictures and labels as plain folders."""
        return self.folder / "pictures"

    @property
    def recipe(self) -> Path:
        """What is trained, and why so."""
        return self.folder / "recipe.toml"

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "run"

    def stages(self) -> list[Stage]:
        """All commands, in order."""
        data, out = ("--data", self.data), self.output
        best, straight = self.run / "best.safetensors", self.run / f"{out.stem}.safetensors"
        size = f"{self.size[1]}x{self.size[0]}"
        about = ("--training-data", f"{self.pictures} own pictures", "--licence", "yours")
        train = ("--out", self.run, "--init", self.init, *self.options)
        page = ("--out", self.folder / "report", "--title", out.stem, "--overwrite")
        again = "--overwrite"  # what an earlier run of the same journey left
        return [
            _stage("train", "train", self.recipe, *data, *train),
            _stage(
                "fit class biases",
                *("train.calibrate", best, *data, "--every", "1", "--out", straight, again),
            ),
            _stage(
                "export",
                *("engines", "export", straight, "-o", out, *data, "--size", size, *about, again),
            ),
            _stage(
                "int8",
                *("engines", "int8", out, *data, again),
                may_fail=f"{out} runs in fp32 everywhere",
            ),
            _stage("verify", "engines", "verify", out, "--checkpoint", straight, *data),
            _stage(
                "report",
                *("train", "report", self.run, f"{out.stem}={straight}", *data, *page),
                may_fail="there is no report page",
            ),
        ]


def run_command(words: Sequence[str]) -> int:
    """Run what follows ``python -m``, on this terminal; its exit code."""
    return subprocess.run([sys.executable, "-m", *words], check=False).returncode


def travel(
    stages: Sequence[Stage],
    say: Callable[[str], None],
    run: Callable[[Sequence[str]], int],
) -> list[str]:
    """Run commands one after the other; returns what was lost on the way.

    Args:
        stages: the commands.
        say: gets a line before each.
        run: runs what follows ``python -m``; gives its exit code.

    Raises:
        TrainError: one failed that the others need; its own words are on the terminal.
    """
    lost = []
    for number, stage in enumerate(stages, 1):
        say(f"[{number}/{len(stages)}] {stage.title}: {stage.typed()}")
        code = run(stage.words)
        if code in (130, -2):
            raise KeyboardInterrupt
        if code and not stage.may_fail:
            raise TrainError(
                f"'{stage.title}' ended with code {code}, for the reason above; mend it and type "
                "the same command again, what is trained is kept"
            )
        if code:
            lost.append(stage.may_fail)
    return lost
