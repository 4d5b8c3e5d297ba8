"""What a run ran on, as ``environment.json`` keeps it."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch
import torchvision

from streamseg.version import __version__
from train.fit.distributed import World


def describe_environment(device: torch.device, world: World) -> dict[str, Any]:
    """Versions, machine and processes; plain values."""
    return {
        "streamseg": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": world.size,
    }
