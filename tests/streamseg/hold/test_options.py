"""What may be said of holding."""

from __future__ import annotations

import pytest

from streamseg.errors import UsageError
from streamseg.hold.keys import LONGEST
from streamseg.hold.options import longest_hold


@pytest.mark.parametrize(("hold", "longest"), [("auto", LONGEST), ("off", 1), ("7", 7), (1, 1)])
def test_words_and_numbers(hold: str | int, longest: int) -> None:
    assert longest_hold(hold) == longest


@pytest.mark.parametrize("hold", ["on", "0", "-3", "251", "2.5", ""])
def test_others_are_refused(hold: str) -> None:
    with pytest.raises(UsageError, match=r"write auto, off, or a number of frames, 1 to 250"):
        longest_hold(hold)
