"""What the processor is, what it can do, how much of it is ours; all may go unanswered."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

from streamseg.runtime.cgroup import cpu_quota

_INTERESTING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16")
_WINDOWS_AVX2 = 40
"""PF_AVX2_INSTRUCTIONS_AVAILABLE of winnt.h."""
_ARM = ("asimddp", "i8mm", "sve", "bf16")


def cpu_threads() -> int:
    """Threads that pay here: the cores this process may run on, or fewer if it is rationed.

    ``taskset`` and cpusets take cores away, ``docker --cpus`` takes time: of 64 threads on two
    cores' time each waits most of every period, and the frames behind it.
    """
    cores = _cores()
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def coder_threads() -> int:
    """Threads for coders that count the cores themselves: 0, unless they do not see a ration."""
    threads = cpu_threads()
    return threads if threads < _cores() else 0


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def cpu_name() -> str:
    """The processor's name, or its architecture where it has none."""
    if sys.platform == "darwin":
        name = _sysctl("machdep.cpu.brand_string")
    else:
        name = _cpuinfo().get("model name", "")
    return " ".join((name or platform.processor() or platform.machine() or "unknown").split())


@cache
def cpu_features() -> tuple[str, ...]:
    """Those instruction sets that matter to a network, sorted; empty where nobody tells."""
    if sys.platform == "darwin":
        text = f"{_sysctl('machdep.cpu.leaf7_features')} {_sysctl('machdep.cpu.features')}"
        return ("avx2",) if "avx2" in text.lower() else ()
    if sys.platform == "win32":
        return ("avx2",) if ctypes.windll.kernel32.IsProcessorFeaturePresent(_WINDOWS_AVX2) else ()
    info = _cpuinfo()
    flags = f"{info.get('flags', '')} {info.get('Features', '')}".split()
    return tuple(sorted(set(flags).intersection((*_INTERESTING, *_ARM))))


def int8_speedup(features: tuple[str, ...]) -> float:
    """Frames a second that int8 gives over fp32's, at least, on ONNX Runtime in the whole pipeline.

    1.0 where that was not measured: ARM's dot products (``asimddp``) among them.
    """
    if not {"avx512_vnni", "avx_vnni"}.isdisjoint(features):
        return 1.5
    return 1.2 if "avx2" in features else 1.0


@cache
def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of Linux's /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _sysctl(name: str) -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
