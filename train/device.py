"""The device that a name means. Knows nothing about networks."""

from __future__ import annotations

import torch

from train.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" takes CUDA where there is one.

    Raises:
        UsageError: no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device: cannot run on {name!r} ({reason})") from error
    return device
