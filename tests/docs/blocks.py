"""What a page tells its reader to type: code blocks, marks before them, and commands between words.

A mark is an HTML comment before a block, so that readers do not see it:

    <!-- not run: needs a camera -->

Shell blocks are indented, or fenced as ``sh``; Python blocks are fenced as ``python``. In a shell
block that shows output as well, commands begin with ``$``. A block without a command is no
example, and needs no mark. Knows nothing of what runs them (`examples.py`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMANDS = (
    "streamseg",
    "python",
    "pip",
    "pipx",
    "uv",
    "git",
    "torchrun",
    "yolo",
    "bash",
    "docker",
    "pytest",
)
_MARK = re.compile(r"<!-- not run: (.+?) -->")
_FENCE = re.compile(r"```(\w*)\s*$")
_SPAN = re.compile(r"`([^`\n]+)`")
LEFT_OPEN = ("…", "...", "|", "[")
"""Where a command has one of these, it is a pattern: something is left out, or chosen."""


@dataclass(frozen=True, slots=True)
class Block:
    """One code block of a page."""

    page: str
    line: int
    """Number of its first line of code, from 1."""
    kind: str
    """``shell``, ``python``, or what the fence says."""
    text: str
    not_run: str | None
    """Why it is not run; None if it is."""

    @property
    def place(self) -> str:
        """Page and line, as editors read it."""
        return f"{self.page}:{self.line}"


def blocks(path: Path, page: str) -> list[Block]:
    """All code blocks of a page, in order."""
    found: list[Block] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    mark: str | None = None
    index = 0
    while index < len(lines):
        line = lines[index]
        if marked := _MARK.fullmatch(line.strip()):
            mark = marked[1]
        elif fence := _FENCE.fullmatch(line):
            end = lines.index("```", index + 1)
            kind = {"sh": "shell", "bash": "shell"}.get(fence[1], fence[1] or "text")
            text = "\n".join(lines[index + 1 : end])
            found.append(Block(page, index + 2, kind, text, mark))
            mark, index = None, end
        elif line.startswith("    ") and (index == 0 or not lines[index - 1].strip()):
            end = index
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "\n".join(line[4:] for line in lines[index:end]).rstrip()
            found.append(Block(page, index + 1, "shell", text, mark))
            mark, index = None, end - 1
        elif line.strip():
            mark = None
        index += 1
    return found


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block as words, without comments; none if it only shows output."""
    text = block.text.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    elif _first_word(lines) not in COMMANDS:
        return []
    found: list[list[str]] = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while "&&" in words:
            found.append(words[: words.index("&&")])
            words = words[words.index("&&") + 1 :]
        found.append(words)
    return [words for words in found if words]


def _first_word(lines: list[str]) -> str:
    """Of the first line that is no comment."""
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    return words[0] if words else ""


def spans(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Whole commands that stand between words in backticks, each with its line."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for text in _SPAN.findall(line):
            if text.startswith(("streamseg ", "python -m ")):
                for part in LEFT_OPEN:
                    text = text.split(part)[0]
                yield number, shlex.split(text.replace("'", ""))
