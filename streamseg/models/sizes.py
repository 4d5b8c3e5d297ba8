"""Sizes of picture that a network takes: what a model file's header says of them, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.errors import UsageError

SIZE_MULTIPLE = 32
"""Height and width of our own networks' input are multiples of this."""
LARGEST_SIDE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """Width and height, in pixels, at which a network sees pictures."""

    model: str
    """Its name, for messages."""
    default: tuple[int, int]
    fixed: tuple[int, int] | None = None
    """The only size the graph takes; None if it is free."""
    multiple: int = SIZE_MULTIPLE
    """What width and height are multiples of."""

    def __str__(self) -> str:
        """What the model takes, to stand behind its name."""
        if self.fixed is not None:
            return f"pictures of {_text(self.fixed)} only"
        return f"width and height in multiples of {self.multiple}"

    def problem(self, size: tuple[int, int]) -> str | None:
        """Why the network cannot take a width and height, in words; None if it can."""
        if self.fixed is not None:
            fits = size == self.fixed
        else:
            fits = min(size) >= self.multiple and not any(side % self.multiple for side in size)
        return None if fits else f"{self.model} takes {self}, got {_text(size)}"

    def check(self, size: tuple[int, int]) -> None:
        """Refuse a width and height that the network cannot take.

        Raises:
            UsageError: it cannot.
        """
        if problem := self.problem(size):
            raise UsageError(problem)

    def rounded(self, width: float, height: float, *, asked: str) -> tuple[int, int]:
        """The nearest size that the network takes; `asked` names it in messages.

        Raises:
            UsageError: that is another one than the graph is fixed to, too small or too large.
        """
        if self.fixed is not None:
            self.check((round(width), round(height)))
            return self.fixed
        columns, rows = round(width / self.multiple), round(height / self.multiple)
        if min(columns, rows) < 1 or max(columns, rows) * self.multiple > LARGEST_SIDE:
            raise UsageError(
                f"size is {asked}; each side must be between {self.multiple} and "
                f"{LARGEST_SIDE} pixels"
            )
        return columns * self.multiple, rows * self.multiple


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
