"""One builder at a time across processes; the operating system frees the lock of a dead one."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streamseg.errors import CacheError

_POLL_SECONDS = 0.1

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`; `on_wait` is called once if another process holds it.

    The lock is the operating system's, not the file's being there: nothing has to be cleaned up
    after a builder that was killed.

    Raises:
        CacheError: the file cannot be made.
    """
    fd = _acquire(path, on_wait)
    try:
        yield
    finally:
        # Unlinked while it is held; who waits for it sees that, and makes a new one. Windows
        # keeps a file that is open: there it stays, empty.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(fd)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock file `path` now."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


def _acquire(path: Path, on_wait: Callable[[], None]) -> int:
    told = False
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CacheError(f"{path}: the lock cannot be made ({error.strerror})") from error
        try:
            while not _try_lock(fd):
                if not told:
                    told = True
                    on_wait()
                time.sleep(_POLL_SECONDS)
            if _still_there(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its holder removed it: lock the file that is there now


def _still_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))  # noqa: PTH116 - samestat's partner
    except OSError:
        return False
