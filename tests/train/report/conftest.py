"""Two real runs, trained for seconds on drawn streets; made once for all tests of reports."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.train.drawn import draw_dataset, tiny_recipe
from train.fit.trainer import Trainer


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("report") / "streets")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, Path]:
    """Run folders ``skip`` (with a decoder) and ``plain`` (without), two epochs each."""
    root = tmp_path_factory.mktemp("runs")
    folders = root / "skip", root / "plain"
    for folder, decoder in zip(folders, ("skip", "none"), strict=True):
        recipe = tiny_recipe(model={"decoder": decoder})
        device = torch.device("cpu")
        Trainer(recipe, data=data, out=folder, init=None, device=device).fit()
    return folders
