"""Ctrl-C, a service manager's stop and a closed terminal: they end a run, at last the process.

The first one raises KeyboardInterrupt, and the run finishes a playable file. The second one drops
the file. Native code may never return, though, and nobody closes a file under a thread that still
uses it: some seconds after the second, or at the third, the process ends where it stands.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from streamseg.video.partfile import drop_all

INTERRUPTED = 130
GRACE_SECONDS = 10.0
"""From the second interrupt to the end: longer than the frames that are under way take."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class _Count:
    """Interrupts so far; the handler, the watching thread and `forgive` share it."""

    interrupts = 0
    last_signal = 0
    handled = False
    """Whether this process is the command's own."""


def forgive() -> bool:
    """Whether what was interrupted only cost time, and the run goes on: then Ctrl-C counts anew.

    A terminal that was closed, or a service manager, wants the end of all of it.
    """
    if _Count.last_signal not in (0, int(signal.SIGINT)) or _Count.interrupts > 1:
        return False
    _Count.interrupts = 0
    return True


def install() -> None:
    """Handle what ends a process; call it once, from the main thread."""
    terminals = [fd for fd in (1, 2) if _is_terminal(fd)]
    numbers = set()
    _Count.handled = True
    for name in _NAMES:
        number = getattr(signal, name, None)
        # A shell starts background jobs with SIGINT ignored, and means no harm; nohup means it.
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        numbers.add(int(number))
        signal.signal(number, lambda got, _: _interrupt(got, terminals))
    # By a descriptor: a handler in Python waits for the native call that the main thread is in.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours, theirs, numbers), daemon=True).start()


def _interrupt(number: int, terminals: list[int]) -> None:
    _Count.last_signal = int(number)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        # A hang-up comes from the kernel and from the shell, and after a service manager's stop:
        # after the first interrupt it says nothing new.
        signal.signal(hangup, signal.SIG_IGN)
    if number == hangup:
        _leave(terminals)
    raise KeyboardInterrupt


def _leave(terminals: list[int]) -> None:
    """Write nowhere instead of to a terminal that is gone: the file must still be finished."""
    for fd in terminals:
        if not _is_terminal(fd):
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, fd)
                os.close(null)


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _watch(ours: socket.socket, theirs: socket.socket, numbers: set[int]) -> None:
    """Count the interrupts as they come; `theirs` is only kept open."""
    hangup = int(getattr(signal, "SIGHUP", 0))
    while True:
        try:
            got = ours.recv(1)
        except TimeoutError:
            end()
        if not got or got[0] not in numbers or (got[0] == hangup and _Count.interrupts):
            continue
        _Count.interrupts += 1
        if _Count.interrupts == 2:
            ours.settimeout(GRACE_SECONDS)
        elif _Count.interrupts > 2:
            end()


def leave(code: object) -> None:
    """At a command's end: end the process now if a thread is still inside native code.

    A sender that is silent holds one inside FFmpeg, and Python would take down under it what it
    uses: now and then, the process crashed. Otherwise nothing happens.

    Args:
        code: as `SystemExit` has it.
    """
    names = [thread.name for thread in threading.enumerate()]
    if not _Count.handled or not any(name.startswith("streamseg-") for name in names):
        return
    drop_all()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def end() -> NoReturn:
    """End this process now, whatever its threads do, without an unfinished file."""
    lost = b"; nothing was written" if drop_all() else b""
    with contextlib.suppress(OSError):
        show_cursor = b"\x1b[?25h" if _is_terminal(2) else b""
        os.write(2, show_cursor + b"interrupted: ended at once" + lost + b"\n")
    os._exit(INTERRUPTED)
