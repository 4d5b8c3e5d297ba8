"""Where built engines are kept, and what makes a place private enough for them.

Loading an engine runs it: what another user could have written is refused, never read.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from streamseg.errors import CacheError


def cache_folder() -> Path:
    """Where engines are kept: ``STREAMSEG_CACHE``, or the platform's place for such files.

    Raises:
        CacheError: there is no such place, as in a container whose user is in no list.
    """
    try:
        return _cache_folder()
    except RuntimeError as error:  # of pathlib: no HOME, and a user that the system does not know
        raise CacheError(
            "no engines are kept, since this user has no home folder; "
            "set HOME, or STREAMSEG_CACHE to a folder of your own"
        ) from error


def _cache_folder() -> Path:
    if chosen := os.environ.get("STREAMSEG_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        chosen = os.environ.get("XDG_CACHE_HOME")
        base = Path(chosen) if chosen else Path.home() / ".cache"
    return base / "streamseg" / "engines"


def check_private(status: os.stat_result, path: Path) -> None:
    """Refuse what somebody else could have written.

    Raises:
        CacheError: another owner, or writable by others.
    """
    if sys.platform == "win32":
        return  # the profile's folders are private by their access lists
    if status.st_uid != os.geteuid():
        raise CacheError(
            f"{path}: belongs to another user (uid {status.st_uid}), and an engine is a program; "
            "set STREAMSEG_CACHE to a folder of your own"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(
            f"{path}: other users can write there, and an engine is a program; "
            f"run 'chmod go-w {path}' if you trust what is in it, or remove it"
        )


def open_private(path: Path) -> BinaryIO:
    """Open a file that nobody else could have written.

    The file that is checked is the one that is read: by its descriptor, and not through a link
    that could point elsewhere a moment later.

    Raises:
        FileNotFoundError: there is none.
        CacheError: a link, unreadable, of another owner, or writable by others.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else error.strerror
        raise CacheError(f"{path}: cannot be read ({why}); remove it") from error
    file = os.fdopen(fd, "rb")
    try:
        check_private(os.fstat(fd), path)
    except BaseException:
        file.close()
        raise
    return file
