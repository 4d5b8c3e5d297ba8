"""What context managers need beside `close` or `abort`."""

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


class AbortedIfFailed:
    """Used in ``with``, and aborted if the block ends with an error; otherwise finished before."""

    def abort(self) -> None:
        """Give up what was begun; calling it when all is finished changes nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.abort()
