"""``python -m train`` with dropout off: what it draws differs between processes, as it should.

The tests of several processes start this with torchrun.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.__main__ import main


def unchanged(_: nn.Module, x: Tensor) -> Tensor:
    return x


if __name__ == "__main__":
    torch.set_num_threads(1)
    nn.Dropout2d.forward = unchanged  # type: ignore[method-assign, assignment]
    nn.Dropout.forward = unchanged  # type: ignore[method-assign, assignment]
    main(prog_name="python -m train")
