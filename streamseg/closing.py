"""What a context manager needs beside `close`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class ClosedAtExit:
    """Used in ``with``, and closed at its end."""

    def close(self) -> None:
        """Close what is open; calling twice is fine."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
