"""Every recipe of the five reports trains for two steps on data in its official layout."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.train.data.drawn_layouts import (
    draw_cityscapes,
    draw_cocostuff10k,
    draw_voc,
    draw_voc_aug,
)
from train.evaluation.command import Size
from train.fit.trainer import Trainer
from train.models import build_model
from train.recipe import Recipe, load_recipe

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
REPORTS = sorted(RECIPES.glob("00?_*.toml"))
LEAGUE = sorted((RECIPES / "league").glob("*.toml"))

DRAW: dict[str, Callable[..., Path]] = {
    "cityscapes": draw_cityscapes,
    "voc": draw_voc,
    "voc_aug": draw_voc_aug,
    "cocostuff10k": draw_cocostuff10k,
}

SMALL = [
    "model.head_channels=8",
    "model.decoder_channels=8",
    "data.resize=0",
    "data.crop=64",
    "data.val_crop=0",
    "data.workers=0",
    "train.epochs=1",
    "train.iterations=2",
    "train.validate_every_steps=2",
    "train.batch=2",
    "train.tensorboard=false",
]
"""A recipe's network, optimiser, loss and layout stay; sizes and lengths shrink."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("layouts")
    return {name: draw(root / name) for name, draw in DRAW.items()}


def test_every_report_has_its_experiments() -> None:
    counts = dict.fromkeys(("000", "001", "002", "003", "004"), 0)
    for path in REPORTS:
        counts[path.name[:3]] += 1
    assert counts == {"000": 11, "001": 2, "002": 4, "003": 3, "004": 3}


def test_the_page_lists_them_all() -> None:
    page = (RECIPES.parents[1] / "docs" / "training.md").read_text()
    assert [path.stem for path in REPORTS if f"`{path.stem}`" not in page] == []


def test_the_commands_in_their_comments_are_taken() -> None:
    """What a recipe tells people to type must not be refused: sizes are multiples of 32."""
    found = [
        word
        for path in REPORTS
        for line in path.read_text().splitlines()
        for option, word in pairwise(line.replace(",", " ").replace(";", " ").split())
        if option == "--size"
    ]
    assert len(found) >= 5
    for size in found:
        Size().convert(size.rstrip("."), None, None)


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_a_reports_recipe_trains(path: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    full = load_recipe(path)
    assert full.name == path.stem
    recipe = load_recipe(path, SMALL)
    trainer = Trainer(
        recipe,
        data=folders[recipe.data.layout],
        out=tmp_path / "run",
        init=None,
        device=torch.device("cpu"),
    )
    frozen = {
        name: p.clone() for name, p in trainer.parts.model.named_parameters() if not p.requires_grad
    }
    scores = [p for n, p in trainer.parts.model.named_parameters() if n.startswith("classifier.")]
    before = scores[0].clone()
    trainer.fit()
    assert trainer.step == 2
    assert not torch.equal(scores[0], before)
    for name, parameter in trainer.parts.model.named_parameters():
        if name in frozen:
            assert torch.equal(parameter, frozen[name])
    assert (tmp_path / "run" / "best.safetensors").is_file()


def without_model(recipe: Recipe) -> tuple[object, ...]:
    return recipe.data, recipe.loss, recipe.train, recipe.optim.name, recipe.optim.lr


@pytest.mark.parametrize("path", LEAGUE, ids=lambda path: path.stem)
def test_the_leagues_networks_differ_in_nothing_but_the_network(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert without_model(recipe) == without_model(load_recipe(LEAGUE[0]))
    build_model(load_recipe(path, ["model.classes=11"]).model)
