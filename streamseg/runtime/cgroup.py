"""The CPU time that Linux control groups leave this process: ``docker --cpus``, a pod's limits.

Knows nothing about threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class _Mount:
    """Where a hierarchy of groups is to be seen."""

    version: int
    root: PurePosixPath
    """The group that is mounted."""
    point: PurePosixPath


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores' worth of time a period, the least of all groups around this process; None is all.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    quotas = [
        quota
        for mount in _mounts(_text(root / "proc/self/mountinfo"))
        for folder in _folders(mount, _text(root / "proc/self/cgroup"))
        if (quota := _quota(root / folder.relative_to("/"), mount.version)) is not None
    ]
    return min(quotas, default=None)


def _mounts(text: str) -> Iterator[_Mount]:
    """The hierarchies that ration CPU time, of ``mountinfo``."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        root, point = (PurePosixPath(_unescaped(field)) for field in fields[3:5])
        if kind[0] == "cgroup2":
            yield _Mount(2, root, point)
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            yield _Mount(1, root, point)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _folders(mount: _Mount, groups: str) -> Iterator[PurePosixPath]:
    """The folder of this process's group, and those around it, as far as they can be seen."""
    own = PurePosixPath("/")
    for line in groups.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" if mount.version == 2 else "cpu" in controllers.split(","):
            own = PurePosixPath(path)
    # A container sees its own group as the root, by either of the two files.
    below = own.relative_to(mount.root) if own.is_relative_to(mount.root) else PurePosixPath()
    if ".." in below.parts:  # seen from inside another group than its own
        below = PurePosixPath()
    folder = mount.point / below
    while True:
        yield folder
        if folder in (mount.point, PurePosixPath("/")):
            return
        folder = folder.parent


def _quota(folder: Path, version: int) -> float | None:
    """What one group may use; None if that is not limited, or not told."""
    if version == 2:
        words = _text(folder / "cpu.max").split()
    else:
        words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = (int(word) for word in words)
    except ValueError:  # no such file, or "max"
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
