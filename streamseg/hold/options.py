"""What ``--hold`` may be."""

from __future__ import annotations

from typing import Literal, TypeAlias

from streamseg.errors import UsageError
from streamseg.hold.keys import LONGEST

Hold: TypeAlias = int | Literal["auto", "off"]
"""Frames from one that the network sees to the next at most; ``off``: it sees every frame."""

_MOST = 250


def longest_hold(hold: Hold | str) -> int:
    """Frames from one key to the next at most; 1 for none held.

    Raises:
        UsageError: none of ``auto``, ``off`` and 1 to 250.
    """
    if hold == "auto":
        return LONGEST
    if hold == "off":
        return 1
    try:
        longest = int(hold)
    except ValueError:
        longest = 0
    if not 1 <= longest <= _MOST:
        raise UsageError(f"hold is {hold!r}; write auto, off, or a number of frames, 1 to {_MOST}")
    return longest
