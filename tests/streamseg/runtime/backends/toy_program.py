"""A network of the contract, small enough to be exported and compiled in a test."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from streamseg.models.modelfile import HEADER_KEY, ModelHeader


class Toy(nn.Module):
    """Two convolutions around a matrix that counts pixels in floats, as the pyramid's does."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 1)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 4

    def forward(self, frames_NHWC: Tensor) -> Tensor:
        x = frames_NHWC.to(torch.float32).permute(0, 3, 1, 2) - 127.5
        x = F.relu(self.first(x))
        cells = torch.arange(x.shape[3], device=x.device).to(x.dtype)
        blur = (3 - (cells[:, None] - cells[None, :]).abs()).clamp(min=0) / 9
        scores: Tensor = self.second(torch.matmul(x, blur))
        return scores.argmax(dim=1).to(torch.float32).to(torch.uint8)


def toy_program() -> ExportedProgram:
    """Any batch, any multiple of 32."""
    n, h, w = Dim("n", min=1, max=64), Dim("h", min=1, max=64), Dim("w", min=1, max=64)
    return torch.export.export(
        Toy().eval(),
        (torch.zeros(2, 64, 96, 3, dtype=torch.uint8),),
        dynamic_shapes=({0: n, 1: 32 * h, 2: 32 * w},),
    )


def write_program(path: Path, header: ModelHeader) -> None:
    """The toy as `python -m engines export --format pt2` would write it."""
    torch.export.save(toy_program(), path, extra_files={HEADER_KEY: header.to_json()})
