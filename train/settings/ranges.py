"""What the tables of a recipe say when a value is out of range. Knows none of the tables."""

from __future__ import annotations

from collections.abc import Sequence


def require(condition: bool, message: str) -> None:
    """Refuse a value.

    Raises:
        ValueError: `message`, if the condition does not hold.
    """
    if not condition:
        raise ValueError(message)


def require_choice(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse a name that is none of the known ones.

    Raises:
        ValueError: it names them.
    """
    require(value in known, f"{name} is {value!r}; known: {list(known)}")


def require_at_least(low: float, **values: float) -> None:
    """Refuse the first of the named values that lies below `low`.

    Raises:
        ValueError: it names the value.
    """
    for name, value in values.items():
        what = "must not be negative" if low == 0 else f"must be at least {low}"
        require(value >= low, f"{name} {what}, got {value}")
