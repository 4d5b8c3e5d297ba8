from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.drawn import tiny_recipe
from train.errors import TrainError
from train.recipe import load_recipe, recipe_from_dict

SHIPPED = Path(__file__).parents[2] / "train" / "recipes" / "mbv2_camvid.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "r.toml"
    path.write_text(text)
    return path


def test_the_shipped_recipe_loads() -> None:
    recipe = load_recipe(SHIPPED)
    assert recipe.name == "mbv2"
    assert recipe.model.classes == 0  # the data set will say


def test_an_empty_recipe_is_the_defaults_named_after_the_file(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, ""))
    assert recipe.name == "r"
    assert recipe.train.epochs == 20


def test_a_recipe_survives_its_own_dict() -> None:
    recipe = tiny_recipe(data={"scale": [0.5, 1.5]})
    assert recipe_from_dict(recipe.as_dict(), "x") == recipe


def test_overrides_are_toml_values_or_bare_words() -> None:
    overrides = ["train.epochs=3", "optim.name=sgd", "data.scale=[1.0, 2]", 'model.decoder="none"']
    recipe = load_recipe(SHIPPED, overrides)
    assert recipe.train.epochs == 3
    assert recipe.optim.name == "sgd"
    assert recipe.data.scale == (1.0, 2)
    assert recipe.model.decoder == "none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepoch = 3", r"\[train\]: unknown key 'epoch'; known: epochs, iterations"),
        ("[trian]", "unknown table or key 'trian'; known: name, model"),
        ("[train]\nepochs = 0", r"\[train\]: epochs must be at least 1, got 0"),
        ("[train]\nepochs = 2.5", "epochs must be of type int, got 2.5"),
        ('[train]\nepochs = "5"', "epochs must be of type int, got '5'"),
        ("[data]\nflip = 1", "flip must be of type bool, got 1"),
        ("[data]\nscale = [1, 2, 3]", "scale must be of type"),
        ("[data]\nscale = [2, 1]", r"scale must be \[low, high\]"),
        ("[data]\ncrop = 31", r"crop must be at least \d+"),
        ("[optim]\nlr = -1", "lr must be positive"),
        ('[optim]\nname = "lion"', "name is 'lion'; known"),
        ('[loss]\nbalance = "log"', "balance is 'log'; known"),
        ('[model]\nhead = "fpn"', r"\[model\]: head is 'fpn'; known"),
        ("model = 5", r"\[model\]: must be a table"),
        ("train = = 3", "not a TOML recipe"),
    ],
)
def test_a_mistake_is_named_with_file_table_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(TrainError, match=message) as caught:
        load_recipe(write(tmp_path, text))
    assert "r.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs=3", "write table.key=value"),
        ("train.epochs", "write table.key=value"),
        ("name.x=3", "name is a value, not a table"),
        ("train.epoch=3", "unknown key 'epoch'"),
    ],
)
def test_a_wrong_override(override: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        load_recipe(SHIPPED, [override])


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no such recipe; see train/recipes/"):
        load_recipe(tmp_path / "none.toml")


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="not a TOML recipe"):
        load_recipe(tmp_path)
