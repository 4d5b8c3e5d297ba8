"""Networks here are tiny: one thread computes them fastest, and leaves the other cores alone."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
