"""The name that an output has until it is complete, and what becomes of it if its process dies.

``.NAME.PID-NUMBER-HOST.part``, hidden, beside the file it will be, and locked while it is written.
The lock is the operating system's, which frees it when a process dies, however it dies: a file of
this machine that nobody holds is nobody's, and the next run that writes into its folder sweeps it.
A process's number says less: numbers are used again, and two containers may share one. What
another machine left on a shared folder is swept only when nothing was written to it for a day: not
every network passes locks on. Windows has no such locks and needs none: it removes no file that
is open.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import re
import sys
import time
import zlib
from pathlib import Path

_LONGEST_NAME = 255
"""Bytes of a file name, on every common file system."""
_ANOTHER_MACHINES_SECONDS = 86_400.0
_PATTERN = re.compile(r"\..+\.\d+-\d+-([0-9a-f]{8})\.part")
_numbers = itertools.count()
_held: dict[Path, int | None] = {}
"""Part files of this process, each with the descriptor that holds its lock."""

if sys.platform == "win32":

    def _lock(path: Path) -> int | None:
        path.touch()
        return None

    def _is_free(path: Path) -> bool:
        return path.exists()

    def _lock_now(path: Path) -> tuple[bool, int | None]:
        path.touch()
        return True, None

else:
    import fcntl

    def _lock(path: Path) -> int | None:
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                # Who swept the folder may have taken it between the two calls above.
                if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                    return fd
            except OSError:  # a file system without locks: there, nothing is swept either
                return fd
            os.close(fd)

    def _is_free(path: Path) -> bool:
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def _lock_now(path: Path) -> tuple[bool, int | None]:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False, None
        except OSError:  # a file system without locks
            pass
        return True, fd


def part_file(final: Path) -> Path:
    """Beside `final`: hidden, of this run alone, and no longer than a file name may be."""
    tail = f".{os.getpid()}-{next(_numbers)}-{_machine()}.part"
    return with_tail(final.with_name(f".{final.name}"), tail)


def with_tail(path: Path, tail: str) -> Path:
    """A name with more behind it, cut where that would be longer than a name may be."""
    cut = os.fsencode(path.name)[: _LONGEST_NAME - len(os.fsencode(tail))]
    return path.with_name(f"{cut.decode(errors='ignore')}{tail}")


def hold(path: Path) -> None:
    """Make a part file, empty, and hold it until `drop`, `let_go` or the end of this process.

    Raises:
        OSError: the folder takes no new file.
    """
    if path not in _held:
        _held[path] = _lock(path)


def hold_now(path: Path) -> bool:
    """As `hold`, without waiting: False if another process, or this one, holds it.

    Raises:
        OSError: the folder takes no new file.
    """
    if path in _held:
        return False
    free, fd = _lock_now(path)
    if free:
        _held[path] = fd
    return free


def let_go(path: Path) -> None:
    """Hold a part file no longer: it has got another name, or is removed."""
    fd = _held.pop(path, None)
    if fd is not None:
        os.close(fd)


def drop(path: Path) -> None:
    """Remove a part file, if it is there and the disk lets us."""
    with contextlib.suppress(OSError):
        path.unlink()
    let_go(path)


def drop_all() -> bool:
    """Remove every part file of this process, which is about to end; whether there was one."""
    held = list(_held)
    for path in held:
        with contextlib.suppress(OSError):
            path.unlink()
    return bool(held)


def sweep(folder: Path) -> None:
    """Remove what processes that are gone left in a folder."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.part"):
            if (match := _PATTERN.fullmatch(path.name)) and path not in _held:
                _sweep_one(path, ours=match[1] == _machine())


def _sweep_one(path: Path, *, ours: bool) -> None:
    with contextlib.suppress(OSError):
        idle = time.time() - path.stat().st_mtime
        if (ours or idle > _ANOTHER_MACHINES_SECONDS) and _is_free(path):
            path.unlink()


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode(errors='replace')):08x}"
