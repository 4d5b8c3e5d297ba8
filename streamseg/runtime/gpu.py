"""Whether an NVIDIA GPU is to be seen, without any package of NVIDIA's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def nvidia_device_is_there() -> bool:
    """Whether the system shows this process an NVIDIA GPU.

    ``nvidia-smi`` alone says nothing on Linux: images for GPU servers bring it along.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False  # hidden on purpose
    if sys.platform == "linux":
        wsl = Path("/dev/dxg").exists() and Path("/usr/lib/wsl/lib/libcuda.so.1").exists()
        return wsl or any(Path("/dev").glob("nvidia[0-9]*"))
    return shutil.which("nvidia-smi") is not None
