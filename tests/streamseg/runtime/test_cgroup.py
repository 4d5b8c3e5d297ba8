"""A container's ration of CPU time is seen in both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.runtime import cpu
from streamseg.runtime.cgroup import cpu_quota

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
)


def machine(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A root folder whose process is in these groups."""
    files = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/../other\n", {"cpu.max": "300000 100000\n"}, 3.0),
        ("0::/gone\n", {"cpu.max": "300000 100000\n"}, 3.0),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
    ],
)
def test_version_2(tmp_path: Path, groups: str, files: dict[str, str], cores: float | None) -> None:
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    assert cpu_quota(machine(tmp_path, groups, V2, files)) == cores


@pytest.mark.parametrize(
    ("root", "own", "folder", "quota", "cores"),
    [
        ("/", "/docker/abc", "docker/abc/", "250000", 2.5),  # seen from outside
        ("/docker/abc", "/docker/abc", "", "250000", 2.5),  # from inside, with the host's names
        ("/", "/", "", "250000", 2.5),  # from inside, with names of its own
        ("/", "/", "", "-1", None),
        ("/", "/docker/abc", "docker/", "100000", 1.0),  # of the group around it
    ],
)
def test_version_1(
    tmp_path: Path, root: str, own: str, folder: str, quota: str, cores: float | None
) -> None:
    groups = f"4:cpuset:/other\n3:cpu,cpuacct:{own}\n0::/\n"
    files = {
        f"sys/fs/cgroup/cpu,cpuacct/{folder}cpu.cfs_quota_us": f"{quota}\n",
        f"sys/fs/cgroup/cpu,cpuacct/{folder}cpu.cfs_period_us": "100000\n",
    }
    assert cpu_quota(machine(tmp_path, groups, V1.format(root=root), files)) == cores


def test_without_control_groups_nothing_is_rationed(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "threads", "coders"),
    [(None, 8, 0), (2.0, 2, 2), (1.5, 2, 2), (0.2, 1, 1), (16.0, 8, 0)],
)
def test_the_least_of_cores_and_ration_counts(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int, coders: int
) -> None:
    monkeypatch.setattr(cpu, "_cores", lambda: 8)
    monkeypatch.setattr(cpu, "cpu_quota", lambda: quota)
    assert cpu.cpu_threads() == threads
    assert cpu.coder_threads() == coders
